-- RECOVER of one session: a paused or abandoned one becomes active, an active one is touched; an
-- archived one becomes active if that is asked for.
-- USES: requests, cleanup, live_quota, session_json, session_changes
-- RARELY: wrong_state
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, allows_archived?, fleet?, reserved?, token?, req?
-- RETURNS: OK, NONE, STALE, ERR, MORE, LARGE
return each(function(base, device, session, allows_archived, fleet, reserved, token)
  local s, refusal = open_for_change(base, device, session, token, 'record')
  if not s then return refusal end
  if not recoverable(s, allows_archived == 'yes') then return wrong_state(s, 'RECOVER') end
  refusal = not_to_live(s, reserved, fleet)
  if refusal then return refusal end
  recover(s)
  return record(s)
end, show_again)
