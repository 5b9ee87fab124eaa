-- What the scripts of sessions share: where a session stands, and what moves it. A session is a
-- hash: `state`, `rev`, `clocks` (idle abandon archive life keep warn, in ms, 0 is off), times,
-- `f:<member>` (`<rev> <JSON>`) for each of its fields, `c:<n>` for each chat. What is as in most
-- sessions is left out, which saves a quarter of a small one.
-- KEYS: as in batch.lua
-- ARGV: none of its own
-- RETURNS: nothing
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

-- A line of numbers, each as a number; most sessions have the same clocks.
local numbers = {}
local function numbers_of(line)
  if numbers[line] then return numbers[line] end
  local list = {}
  for number in string.gmatch(line, '%d+') do list[#list + 1] = tonumber(number) end
  numbers[line] = list
  return list
end

-- What decides a session's state, or nil if there is no such session. A record without a state is
-- no session that is gone, but one that somebody has damaged.
local function load(base, device, id)
  if id == '' or id == 'current' then
    local _, current = device_line(base, device)
    if not current then return nil end
    id = current
  end
  local key = base .. ':session:' .. device .. '/' .. id
  local v = call('HMGET', key, 'state', 'rev', 'clocks', 'active', 'created', 'born', 'since',
    'warned', 'chat', 'chats', 'fenced', 'links')
  if not v[1] then
    assert(not v[3], 'a record without a state')
    return nil
  end
  local clocks = numbers_of(v[3])
  return {base = base, device = device, id = id, key = key, state = v[1], rev = tonumber(v[2]),
    idle = clocks[1], abandon = clocks[2], archive = clocks[3], life = clocks[4],
    keep = clocks[5], warn = clocks[6], active = tonumber(v[4]), created = tonumber(v[5]),
    born = tonumber(v[6] or v[5]), since = tonumber(v[7] or v[5]), warned = v[8] or '0 0',
    chat = tonumber(v[9] or 1), chats = tonumber(v[10] or 1), fenced = v[11] == 'yes',
    links = v[12] or ''}
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
