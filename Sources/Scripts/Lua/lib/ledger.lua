-- The counters of a partition, in `ledger`. Counting fails no operation: a counter that is no
-- number begins again, and a ledger of another type counts nothing. An agent's tally says how many
-- of its tokens have ended, for how long they were held together and at most, in ms, and how many
-- were abandoned.
-- USES: batch
-- GIVES: known_figure, counted, tally_of, since_start, count, owned_field, owned_after,
--   count_held, count_live, owner_in, with_owner, live_figures, count_chats, forget_chats

-- Above this Lua does not count one by one.
local FIGURE_MAX = 9007199254740991

-- A counter; 0 if it is missing, nil if it is corrupt. By arithmetic alone: what is too large, no
-- whole number or not a number at all fails a comparison.
local function known_figure(value)
  if not value then return 0 end
  local n = tonumber(value)
  return n and n >= -FIGURE_MAX and n <= FIGURE_MAX and n % 1 == 0 and n or nil
end

-- A counter after `n` more.
local function counted(seen, n) return (known_figure(seen) or 0) + n end

-- The numbers of an agent's tally; zeros if it is missing, nil if it is corrupt.
local function tally_of(value)
  if not value then return 0, 0, 0, 0 end
  local n, sum, longest, lost = string.match(value, '^(%d+) (%d+) (%d+) (%d+)$')
  n, sum = known_figure(n or ''), known_figure(sum or '')
  longest, lost = known_figure(longest or ''), known_figure(lost or '')
  if n and sum and longest and lost then return n, sum, longest, lost end
end

-- A time as `held_at` adds it up over the locks that are held: in ms since November 2023, so that
-- the sum is exact for some 90,000 locks of a partition.
local function since_start(at_ms) return at_ms - 1700000000000 end

local function count(base, name, n)
  local ledger = base .. ':ledger'
  if type(attempt('HINCRBY', ledger, name, text(n))) == 'table' then
    regardless(call, 'HSET', ledger, name, math.max(n, 0))
  end
end

-- The field that counts the locks (`locks:`) or live sessions (`live:`) of a principal with this
-- mark, as the last argument of a command; nothing without a mark.
local function owned_field(kind, owner)
  if owner then return kind .. owner end
end

-- The same with the count after `n` more, where `seen` is the one before.
local function owned_after(kind, owner, seen, n)
  if owner then return kind .. owner, text(math.max(0, counted(seen, n))) end
end

-- Counts a lock that is held from now on, by its agent and its principal's mark, if it has one.
local function count_held(base, agent, owner)
  local ledger, held = base .. ':ledger', 'held:' .. agent
  local seen = attempt('HMGET', ledger, held, 'held_at', owned_field('locks:', owner))
  regardless(call, 'HSET', ledger, held, counted(seen[1], 1),
    'held_at', counted(seen[2], since_start(now_ms)), owned_after('locks:', owner, seen[3], 1))
end

-- Counts a session among the live ones of the principal that has made it; with -1 it is one less.
-- Those of callers whose sessions are not counted have no `owner`.
local function count_live(s, times)
  local owner = attempt('HGET', s.key, 'owner')
  if type(owner) == 'string' then count(s.base, 'live:' .. owner, times) end
end

-- The mark of the principal that makes a session, if `fleet` has one; or nil.
local function owner_in(fleet) return fleet ~= '' and string.match(fleet, '@(%w+)') or nil end

-- The record of a new session, names and values in turn, with that mark if there is one.
local function with_owner(flat, owner)
  if owner then flat[#flat + 1], flat[#flat + 2] = 'owner', owner end
  return flat
end

-- The figures that a new session changes, behind another one.
local function live_figures(base, first, owner)
  return attempt('HMGET', base .. ':ledger', first, 'state:active', 'opened',
    owned_field('live:', owner))
end

-- Counts the chats of a live session, which are most often one: `more_chats` has the others of all
-- live sessions. `times` is 1 for a session that is live now, -1 for one that is no more.
local function count_chats(base, chats, times)
  if chats ~= 1 then count(base, 'more_chats', (chats - 1) * times) end
end

-- A live session is gone, and nothing says how many chats it had. Without any there are no chats.
local function forget_chats(base)
  local live = attempt('HMGET', base .. ':ledger', 'state:active', 'state:paused')
  if live.err or (known_figure(live[1]) or 0) + (known_figure(live[2]) or 0) > 0 then return end
  attempt('HDEL', base .. ':ledger', 'more_chats')
end
