-- RECOVER of one session: a paused or abandoned one becomes active, an active one is touched; an
-- archived one becomes active if that is asked for.
-- USES: requests, cleanup, live_quota, session_json, session_changes
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, archived (yes or empty), reservations made (each between spaces)
--   or empty, token or empty, request id or empty
-- RETURNS: OK, NONE, STALE, ERR, MORE
return each(6, function(base, i)
  local s, refusal = open_for_change(base, ARGV[i], ARGV[i + 1], ARGV[i + 4])
  if not s then return refusal end
  local archived = ARGV[i + 2] == 'yes'
  if not recoverable(s, archived) then return wrong_state(s, 'RECOVER') end
  refusal = not_to_live(s, ARGV[i + 3])
  if refusal then return refusal end
  recover(s)
  return record(s)
end, true, show_again)
