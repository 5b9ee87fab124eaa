-- The quotas of live sessions: of a device, of a principal, and of all. Those of users are
-- reservations.
-- USES: batch, session_index, session_load, transitions, cleanup, device_lines, reservations,
--   log_quota, policies
-- RARELY: room_to_live, stored_policy, load, settle, transition, recount, unreserved,
--   reservations_of
-- GIVES: device_full, make_room, fleet_full, room_to_live, not_to_live

local function device_quota(policy)
  return policy.sessions > 0 and policy.sessions or SESSIONS_MAX
end

local function quota_of_device(live, most)
  return 'ERR quota quota exceeded: ' .. live .. ' of ' .. most .. ' live sessions on this device'
end

-- The reason why a device can have no further live session of a policy; or nil, the ids of those
-- that it has, and how many of them have to go first, where the policy evicts. Sessions whose time
-- is over count no more: they are among the due entries of the partition, which are few beside all
-- that a device may have.
local function device_full(base, device, policy)
  local ids, most = live_ids(base, device, true), device_quota(policy)
  if #ids < most then return nil, ids end
  local mine = ':' .. device .. '/'
  for _, member in ipairs(call('ZRANGEBYSCORE', base .. ':due', '-inf', now_ms)) do
    local is_live = string.match(member, '^[ap]:')
    local id = is_live and cut(member, 2, #mine + 1) == mine and cut(member, #mine + 2)
    if id then
      -- One that is corrupt stays as it is, and refuses no other.
      local ok, s = pcall(load, base, device, id)
      if ok and s then settle(s) end
    end
  end
  -- The line may count sessions that are not there.
  recount(base, device, true)
  ids = live_ids(base, device, true)
  if #ids < most then return nil, ids end
  if policy.evicts then return nil, ids, #ids - most + 1 end
  return quota_of_device(#ids, most), ids
end

-- Closes so many of a device's live sessions, those that were active longest ago; of these users
-- alone, unless they are empty. Returns a refusal if there are not as many that can be read; or
-- nil.
local function make_room(base, device, ids, surplus, users)
  local found = {}
  for _, id in ipairs(ids) do
    local ok, s = pcall(load, base, device, id .. users)
    if ok and s and LIVE[s.state] then found[#found + 1] = s end
  end
  if #found < surplus then return quota_of_device(#ids, #ids - surplus + 1) end
  table.sort(found, function(a, b)
    return a.active < b.active or a.active == b.active and a.id < b.id
  end)
  for n = 1, surplus do transition(found[n], 'completed', now_ms, '"evicted"') end
end

-- The refusal where all live sessions together, `<live> <most>`, are too many, or those of the
-- principal whose mark stands behind that, `@<mark>/<live>/<most>`, with the limit's name for the
-- worker behind the code; or nil.
local function fleet_full(fleet)
  local live, most = string.match(fleet, '^(%d+) (%d+)')
  local code, whose = 'quota', ' live sessions in all'
  if not live then
    live, most = string.match(fleet, '/(%d+)/(%d+)$')
    code, whose = 'quota/sessions', ' live sessions of this principal'
  end
  return live and 'ERR ' .. code .. ' quota exceeded: ' .. live .. ' of ' .. most .. whose or nil
end

-- Makes room for a session that is to be live. Returns the reason why there is none: the quota of
-- its device or of all, or reservations in the list that are not made yet; or nil.
local function room_to_live(base, device, id, policy, list, made, fleet, users)
  local full, ids, surplus = device_full(base, device, policy)
  full = full or fleet_full(fleet) or unreserved(id, 'active', list, made, policy)
  return full or surplus and make_room(base, device, ids, surplus, users) or nil
end

-- The same for one that becomes active again, unless it is live: it needs reservations for its
-- users; and the reason may be the event log.
local function not_to_live(s, made, fleet)
  local refusal = s.state ~= 'active' and log_refusal(s.base, s.device)
  if refusal or LIVE[s.state] then return refusal or nil end
  return room_to_live(s.base, s.device, s.id, stored_policy(s), reservations_of(s.links, 'user'),
    made, fleet, s.users)
end
