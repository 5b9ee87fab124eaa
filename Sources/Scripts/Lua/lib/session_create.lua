-- Making a session, with its first chat; it is the device's current one.
-- USES: batch, ledger, session_load, links, clocks, transitions, session_changes, merge,
--   device_lines, reservations, live_quota, log_quota
-- GIVES: make

-- A session from the members of its record.
local function session_of(base, device, id, key, v)
  return session(base, device, id, key, v.state, v.rev, v.clocks, v.active, v.created, v.born,
    v.since, v.warned, v.chat, v.chats, v.fenced, v.links)
end

local OWN = {'state', 'rev', 'clocks', 'created', 'active', 'fields', 'links', 'fenced', 'thread',
  'chat', 'chats', 'n:1'}

-- The members of a new session without the last one, `chat`, if there is that; and its value, the
-- first chat's name as JSON or `none`.
local function without_chat(list)
  if list[#list - 1] ~= 'chat' then return list end
  local chat = table.remove(list)
  table.remove(list)
  return list, chat
end

-- Makes a session of the parameters of OPEN. Returns the session, nil, and names and values of its
-- record in turn; or nil and the reply that says why not.
local function make(base, device, id, thread, clocks, is_fenced, members, links, reserved, token)
  local refusal, live = check_fence(base, device, token, '0'), nil
  if not refusal then refusal, live = device_full(base, device) end
  refusal = refusal or log_refusal(base, device)
  if refusal then return nil, refusal end
  local more = unreserved(id, 'active', reservations_of(links), reserved)
  if more then return nil, more end
  local list, chat = without_chat(parts(members))
  local writes, fields = merged(0, list, {}, 1, 0)
  if not writes then return nil, fields end
  local v = {state = 'active', rev = '1', clocks = clocks, created = now_text,
    active = now_text, thread = thread ~= '"' .. id .. '"' and thread or nil,
    fenced = is_fenced == 'yes' and 'yes' or nil,
    links = links ~= '' and links or nil,
    fields = fields > 0 and text(fields) or nil,
    ['n:1'] = chat ~= 'none' and chat or nil, chat = chat == 'none' and '0' or nil,
    chats = chat == 'none' and '0 ' or nil}
  -- The members that are read most often come first: Redis goes through a small hash from its
  -- beginning.
  local flat = {}
  for _, name in ipairs(OWN) do
    if v[name] then
      flat[#flat + 1], flat[#flat + 2] = name, v[name]
    end
  end
  for n = 1, #writes, 2 do
    v[writes[n]] = writes[n + 1]
    flat[#flat + 1], flat[#flat + 2] = writes[n], writes[n + 1]
  end
  local key = base .. ':session:' .. device .. '/' .. id
  -- First the indexes whose key may be corrupt: nothing was done then.
  call('ZADD', base .. ':sessions', '0', device .. '/' .. id)
  call('HSET', key, unpack(flat))
  local s = session_of(base, device, id, key, v)
  s.reason = 'null'
  regardless(make_current, base, device, id, live)
  count(base, 'state:active', 1)
  count(base, 'opened', 1)
  if gone_by(s) then call('PEXPIREAT', key, text(gone_by(s))) end
  announce(s, 'opened', now_ms)
  index(s)
  enqueue_all(s)
  return s, nil, flat
end
