-- The quota of a device's live sessions.
-- USES: batch, session_index, session_load, transitions, cleanup, device_lines, reservations,
--   log_quota
-- RARELY: device_full, load, settle, recount, unreserved, reservations_of
-- GIVES: device_full, not_to_live

-- The reason why a device can have no further live session; or nil, and the ids of those that it
-- has. Sessions whose time is over count no more: they are among the due entries of the partition,
-- which are few beside all that a device may have.
local function device_full(base, device)
  local ids = live_ids(base, device, true)
  if #ids < SESSIONS_MAX then return nil, ids end
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
  return #ids >= SESSIONS_MAX and 'ERR quota quota exceeded: ' .. #ids .. ' of ' .. SESSIONS_MAX
    .. ' live sessions on this device' or nil, ids
end

-- The reason why a session cannot become active again now: the event log, or where it is not live
-- the quota of its device, or reservations for those of its users that are not made yet; nil if it
-- can, or is active.
local function not_to_live(s, made)
  local refusal = s.state ~= 'active' and log_refusal(s.base, s.device)
  if refusal or LIVE[s.state] then return refusal or nil end
  return (device_full(s.base, s.device))
    or unreserved(s.id, 'active', reservations_of(s.links, 'user'), made)
end
