-- RECOVER of a device: the hinted session if it can be recovered, else the latest that can, else
-- a new one; of one user or of one thread if such is asked for. Of all that were closed meanwhile a
-- thousand are looked at. `is_elsewhere`: the hint is a session of another device; `ignored` are
-- the options that only a new one takes; what a new one is made of is as for OPEN.
-- USES: batch, session_load, session_index, links, transitions, cleanup, session_changes,
--   session_create, live_quota, session_json, requests
-- KEYS: the base key of each request's partition
-- ARGV: device, hint?, is_elsewhere?, ignored? (JSON), session, thread (JSON), clocks,
--   is_fenced?, members, links?, reserved?, token?, req?
-- RETURNS: OK, NONE, STALE, ERR, MORE
local LOOKED_AT_MAX = 1000

-- The reason why a session does not count for this user and thread, either of which may be empty;
-- or nil.
local function unfit(s, user, thread)
  if user ~= '' and not has_link(s, 'user', user) then return 'other_user' end
  if thread == '' then return nil end
  local own = call('HGET', s.key, 'thread') or '"' .. s.id .. '"'
  return thread ~= own and 'elsewhere' or nil
end

-- A candidate: recovered; or nil, why not, and the reply if that is the end of it.
local function try(base, device, id, token, user, thread, reserved)
  -- A corrupt one does not keep others from being recovered.
  local ok, s = pcall(load, base, device, id)
  if not ok or not s then return nil, 'gone' end
  settle(s)
  if s.is_gone then return nil, 'gone' end
  local why = unfit(s, user, thread)
  if why then return nil, why end
  if not recoverable(s) then return nil, 'ended' end
  local refusal = fence(s, token) or not_to_live(s, reserved)
  if refusal then return nil, 'refused', refusal end
  recover(s)
  return s
end

return each(function(base, device, hint, is_elsewhere, ignored, session, thread, clocks, is_fenced,
    members, links, reserved, token)
  local user, why = string.match('\n' .. links, '\nuser (%S+)') or '', nil
  -- A new one's own id is no thread to look for.
  local wanted = thread ~= '"' .. session .. '"' and thread or ''
  local function found(s, how, flat)
    return record(s, ',"how":"' .. how .. '"' .. (why and ',"hint":"' .. why .. '"' or '')
      .. (how ~= 'new' and ignored ~= '' and ',"ignored":' .. ignored or ''), flat)
  end
  if hint ~= '' then
    local s, unfit_hint, refusal = try(base, device, hint, token, user, wanted, reserved)
    if s then return found(s, 'hint') end
    if refusal then return refusal end
    why = unfit_hint == 'gone' and is_elsewhere ~= '' and 'elsewhere' or unfit_hint
  end
  for _, id in ipairs(ids_of(base, device, '', LOOKED_AT_MAX)) do
    local s, _, refusal = try(base, device, id, token, user, wanted, reserved)
    if s then return found(s, 'latest') end
    if refusal then return refusal end
  end
  local s, refusal, flat = make(base, device, session, thread, clocks, is_fenced, members, links,
    reserved, token)
  if not s then return refusal end
  return found(s, 'new', flat)
end, show_again)
