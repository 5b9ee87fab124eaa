-- Making a session, with its first chat; it is the device's current one.
-- KEYS: as in batch.lua
-- ARGV: none of its own
-- RETURNS: nothing

-- Why a device can have no further live session, or nil. Those whose time is over count no more:
-- they are among what is due in the partition, which is little beside all that a device may have.
local function device_full(base, device)
  if device_line(base, device) < SESSIONS_MAX then return nil end
  local mine = ':' .. device .. '/'
  for _, member in ipairs(call('ZRANGEBYSCORE', base .. ':due', '-inf', now_ms)) do
    local is_live = string.match(member, '^[ap]:')
    local id = is_live and cut(member, 2, #mine + 1) == mine and cut(member, #mine + 2)
    local s = id and load(base, device, id)
    if s then settle(s) end
  end
  if device_line(base, device) < SESSIONS_MAX then return nil end
  return 'ERR quota a device may have ' .. SESSIONS_MAX .. ' live sessions'
end

-- From arguments: session, thread (JSON), clocks, fenced, members, user, place taken and token, at
-- `i`. Returns the session, or nil and the reply that says why not.
local function make(base, device, i)
  local id, user, token = ARGV[i], ARGV[i + 5], ARGV[i + 7]
  if token ~= '' and not is_current(base, device, token) then return nil, 'STALE {"rev":0}' end
  local full = device_full(base, device)
  if full then return nil, full end
  if user ~= '' and ARGV[i + 6] == '' then return nil, 'MORE ' .. id .. ' live' end
  local key = base .. ':session:' .. device .. '/' .. id
  call('HSET', key, 'state', 'active', 'rev', 0, 'clocks', ARGV[i + 2], 'created', now_text,
    'active', now_text)
  if ARGV[i + 1] ~= '"' .. id .. '"' then call('HSET', key, 'thread', ARGV[i + 1]) end
  if ARGV[i + 3] == 'yes' then call('HSET', key, 'fenced', 'yes') end
  if user ~= '' then call('HSET', key, 'links', 'user ' .. user .. '\n') end
  local s = load(base, device, id)
  local refusal = merge(s, parts(ARGV[i + 4]), nil)
  if refusal then
    call('DEL', key)
    return nil, refusal
  end
  if s.rev == 0 then
    s.rev = 1
    call('HSET', key, 'rev', 1)
  end
  call('ZADD', base .. ':sessions', 0, device .. '/' .. id)
  add_live(base, device, 1, id)
  count(base, 'state:active', 1)
  count(base, 'opened', 1)
  set_ttl(s, gone_by(s))
  announce(s, 'opened', now_ms)
  index(s)
  owe_all(s)
  return s
end
