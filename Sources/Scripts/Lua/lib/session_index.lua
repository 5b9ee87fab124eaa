-- What the scripts of sessions share: where a session stands, and what moves it. A session is a
-- hash: `state`, `rev`, `clocks` (idle abandon archive life keep warn, in ms, 0 is off), times,
-- `f:<member>` (`<rev> <JSON>`) for each of its fields, `c:<n>` for each chat. What is as in most
-- sessions is left out, which saves a quarter of a small one.
-- USES: batch
-- GIVES: LIVE, device_line, add_live, ids_of, idle_at, abandon_at, life_at, keep_until
local LIVE = {active = true, paused = true}

-- How many live sessions a device has, and which is its current one.
local function device_line(base, device)
  local line = call('HGET', base .. ':devices', device)
  if not line then return 0, nil end
  local live, current = string.match(line, '^(%d+) (.*)$')
  return tonumber(live), current
end

local function add_live(base, device, n, current)
  local live, known = device_line(base, device)
  call('HSET', base .. ':devices', device, (live + n) .. ' ' .. (current or known))
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
