-- The counters of a partition, in `ledger`. Counting fails no operation: a counter that is no
-- number begins again, and a ledger of another type counts nothing. An agent's tally says how many
-- of its tokens have ended, for how long they were held together and at most, in ms, and how many
-- were abandoned.
-- USES: batch
-- GIVES: known_figure, counted, tally_of, count

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

local function count(base, name, n)
  local ledger = base .. ':ledger'
  if type(attempt('HINCRBY', ledger, name, text(n))) == 'table' then
    regardless(call, 'HSET', ledger, name, math.max(n, 0))
  end
end
