-- Making a session, with its first chat; it is the device's current one.
-- USES: batch, clock_lengths, policies, activity, numbers, ledger, links, clocks, session_users,
--   transitions, session_changes, merge, device_lines, reservations, live_quota, log_quota
-- RARELY: check_fence, reservations_of, unreserved, enqueue_links, fleet_full, make_room
-- GIVES: make
-- NEW: session, thread (JSON), links?, clocks, is_fenced?, members, session_policy?

local function put_member(list, name, value)
  local last = #list
  list[last + 1], list[last + 2] = name, value
end

-- The members of a new session without the last one, `chat`, if there is that; and its value, the
-- first chat's name as JSON or `none`.
local function without_chat(list)
  if list[#list - 1] ~= 'chat' then return list end
  local chat = table.remove(list)
  table.remove(list)
  return list, chat
end

-- Makes a session of NEW, which scripts hand on as they get it: its id, behind which stand the
-- users to whose sessions the request is limited, its thread, its links, a line each, and what only
-- this function looks at. Returns the session, nil, and names and values of its
-- record in turn; or nil and the reply that says why not.
local function make(base, device, fleet, reserved, token, session, thread, links, clocks, is_fenced,
    members, session_policy)
  local refusal, live_ones, surplus, limits = nil, nil, nil, policy_of(session_policy)
  local id, users = split_users(session)
  if token ~= '' then refusal = check_fence(base, device, token, '0', users) end
  if not refusal then clocks, refusal = with_life(clocks, now_ms) end
  if not refusal then refusal, live_ones, surplus = device_full(base, device, limits) end
  -- Read and written with one command each; read after sessions whose time was over have ended.
  local ledger, owner = base .. ':ledger', owner_in(fleet)
  local seen = live_figures(base, 'log_full', owner)
  refusal = refusal or fleet ~= '' and fleet_full(fleet)
    or log_refusal(base, device, seen[1] or false)
    or links ~= '' and unreserved(id, 'active', reservations_of(links), reserved, limits)
  if refusal then return nil, refusal end
  local list, chat = without_chat(parts(members))
  local writes, fields = merged(0, list, {}, 1, 0)
  if not writes then return nil, fields end
  refusal = surplus and make_room(base, device, live_ones, surplus, users)
  if refusal then return nil, refusal end
  if surplus then live_ones, seen = nil, live_figures(base, '', owner) end
  -- The members that are read most often come first: Redis goes through a small hash from its
  -- beginning.
  local flat = {'state', 'active', 'rev', '1', 'clocks', clocks, 'created', now_text, 'active',
    now_text}
  if fields > 0 then put_member(flat, 'fields', text(fields)) end
  if links ~= '' then put_member(flat, 'links', links) end
  if is_fenced == 'yes' then put_member(flat, 'fenced', 'yes') end
  if thread ~= '"' .. id .. '"' then put_member(flat, 'thread', thread) end
  if session_policy ~= '' then put_member(flat, 'policy', session_policy) end
  local has_chat = chat ~= 'none'
  if has_chat and chat then put_member(flat, 'n:1', chat) end
  if not has_chat then put_member(flat, 'chat', '0'); put_member(flat, 'chats', '0 ') end
  for n = 1, #writes, 2 do put_member(flat, writes[n], writes[n + 1]) end
  local key = base .. ':session:' .. device .. '/' .. id
  -- First the indexes whose key may be corrupt: nothing was done then.
  call('ZADD', base .. ':sessions', '0', device .. '/' .. id)
  call('HSET', key, unpack(with_owner(flat, owner)))
  index_activity(base, device, id, now_ms)
  local s = {base = base, device = device, id = id, key = key, state = 'active', rev = 1,
    clocks = clocks_of(clocks), active = now_ms, created = now_ms, born = now_ms, since = now_ms,
    warned = '0 0', chat = has_chat and 1 or 0, chats = {has_chat and 1 or nil},
    last_chat = has_chat and 1 or 0, fenced = is_fenced == 'yes', links = links, reason = 'null'}
  regardless(make_current, base, device, id, live_ones)
  regardless(call, 'HSET', ledger, 'state:active', text(counted(seen[2], 1)), 'opened',
    text(counted(seen[3], 1)), owned_after('live:', owner, seen[4], 1))
  count_chats(base, #s.chats, 1)
  local ends_at = gone_by(s)
  if ends_at then call('PEXPIREAT', key, text(ends_at)) end
  announce(s, 'opened', now_ms)
  index(s)
  if links ~= '' then enqueue_links(s, s.links) end
  return s, nil, flat
end
