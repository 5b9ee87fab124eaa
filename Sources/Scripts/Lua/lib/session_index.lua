-- What the scripts of sessions share: where a session stands, and what moves it. A session is a
-- hash: `state`, `rev`, `clocks` (idle abandon archive life keep warn, in ms, 0 is off), times,
-- `f:<member>` (`<rev> <JSON>`) for each of its fields, `c:<n>` for each chat. What is as in most
-- sessions is left out, which saves a quarter of a small one.
-- USES: batch
-- GIVES: LIVE, KEPT, CHATS_READ_MAX, corrupt, is_corrupt, ids_of, count_live, device_line,
--   add_live, idle_at, abandon_at, life_at, keep_until
local LIVE = {active = true, paused = true}
local KEPT = {abandoned = true, archived = true, completed = true, failed = true, expired = true}

-- A session has a few chats. Where its record says more than this, it is corrupt.
local CHATS_READ_MAX = 1000

-- Ends a request because a record is corrupt, whatever it was about to do.
local function corrupt(what) error({err = 'CORRUPT ' .. what}, 0) end

-- Whether a request failed because a record, or one of its keys, is corrupt.
local function is_corrupt(failure)
  local message = type(failure) == 'table' and failure.err or tostring(failure)
  return find(message, 'CORRUPT', 1, true) or find(message, 'WRONGTYPE', 1, true)
end

-- The ids of a device's sessions, newest first: those behind `from`, unless it is empty, and no
-- more than `most` of them (-1: all). `sessions` holds `<device>/<session>` of all devices in the
-- order of their texts, and a session's id begins with its time.
local function ids_of(base, device, from, most)
  local first = from == '' and '(' .. device .. '0' or '(' .. device .. '/' .. from
  local found = call('ZREVRANGEBYLEX', base .. ':sessions', first, '[' .. device .. '/',
    'LIMIT', 0, most)
  for i, entry in ipairs(found) do found[i] = string.sub(entry, #device + 2) end
  return found
end

-- How many sessions of a device are live by their records, and which is its newest one.
local function count_live(base, device)
  local live, ids = 0, ids_of(base, device, '', -1)
  for _, id in ipairs(ids) do
    if LIVE[attempt('HGET', base .. ':session:' .. device .. '/' .. id, 'state')] then
      live = live + 1
    end
  end
  return live, ids[1]
end

-- How many live sessions a device has, and which is its current one.
local function device_line(base, device)
  local line = call('HGET', base .. ':devices', device)
  if not line then return 0, nil end
  local live, current = string.match(line, '^(%d+) (.*)$')
  if live then return tonumber(live), current, false end
  -- A line that is corrupt is made anew by whatever writes it next.
  live, current = count_live(base, device)
  return live, current, true
end

-- After the session's record has changed, or has gone.
local function add_live(base, device, n, current)
  local live, known, is_counted = device_line(base, device)
  if is_counted then n = 0 end
  call('HSET', base .. ':devices', device, (live + n) .. ' ' .. (current or known))
end

-- When each clock runs out in the state that the session is in; nil where it does not run.
local function idle_at(s)
  return s.state == 'active' and s.idle > 0 and s.active + s.idle or nil
end
local function abandon_at(s)
  return LIVE[s.state] and s.abandon > 0 and s.active + s.abandon or nil
end
local function life_at(s)
  return LIVE[s.state] and s.life > 0 and s.born + s.life or nil
end
local function keep_until(s)
  if LIVE[s.state] or s.state == 'abandoned' then return nil end
  return s.since + s.keep
end
