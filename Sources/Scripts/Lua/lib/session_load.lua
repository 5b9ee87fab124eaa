-- How a session is read: what decides its state, or its record whole.
-- USES: batch
-- GIVES: numbers_of, find_session, is_there, load, members_of, session_of, load_whole

-- A line of numbers, each as a number; most sessions have the same clocks.
local numbers
at_begin(function() numbers = {} end)
local function numbers_of(line)
  if numbers[line] then return numbers[line] end
  local list = {}
  for number in string.gmatch(line, '%d+') do list[#list + 1] = tonumber(number) end
  numbers[line] = list
  return list
end

-- What decides a session's state, from the members of its record as they are stored.
local function session(base, device, id, key, state, rev, clocks, active, created, born, since,
    warned, chat, chats, fenced, links)
  local ms = numbers_of(clocks)
  return {base = base, device = device, id = id, key = key, state = state, rev = tonumber(rev),
    idle = ms[1], abandon = ms[2], archive = ms[3], life = ms[4], keep = ms[5], warn = ms[6],
    active = tonumber(active), created = tonumber(created), born = tonumber(born or created),
    since = tonumber(since or created), warned = warned or '0 0', chat = tonumber(chat or 1),
    chats = tonumber(chats or 1), fenced = fenced == 'yes', links = links or ''}
end

-- The id and the key of the addressed session, or nil if the device has none.
local function find_session(base, device, id)
  if id == '' or id == 'current' then
    -- Cut out by place, as the device's line is read for each request.
    local line = call('HGET', base .. ':devices', device)
    if not line then return nil end
    id = cut(line, find(line, ' ', 1, true) + 1)
  end
  return id, base .. ':session:' .. device .. '/' .. id
end

-- Whether a record says that there is a session. One without a state is none that is gone, but one
-- that somebody has damaged.
local function is_there(state, clocks)
  assert(state or not clocks, 'a record without a state')
  return state
end

-- The addressed session, or nil if there is no such session.
local function load(base, device, id)
  local found, key = find_session(base, device, id)
  local v = found and call('HMGET', key, 'state', 'rev', 'clocks', 'active', 'created', 'born',
    'since', 'warned', 'chat', 'chats', 'fenced', 'links')
  return v and is_there(v[1], v[3]) and session(base, device, found, key, unpack(v)) or nil
end

-- The members of a record by their names.
local function members_of(key)
  local flat, v = call('HGETALL', key), {}
  for i = 1, #flat, 2 do v[flat[i]] = flat[i + 1] end
  return v
end

-- A session from the members of its record.
local function session_of(base, device, id, key, v)
  return session(base, device, id, key, v.state, v.rev, v.clocks, v.active, v.created, v.born,
    v.since, v.warned, v.chat, v.chats, v.fenced, v.links)
end

-- The addressed session and its members, or nil if there is no such session.
local function load_whole(base, device, id)
  local found, key = find_session(base, device, id)
  local v = found and members_of(key)
  if not v or not is_there(v.state, v.clocks) then return nil end
  return session_of(base, device, found, key, v), v
end
