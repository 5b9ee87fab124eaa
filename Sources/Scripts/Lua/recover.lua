-- RECOVER of one session: a paused or abandoned one becomes active, an active one is touched; an
-- archived one becomes active if that is asked for.
-- USES: requests, cleanup, session_json, session_changes
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, archived (yes or empty), token or empty, request id or empty
-- RETURNS: OK, NONE, STALE, ERR
return each(5, function(base, i)
  local s, refusal = open_for_change(base, ARGV[i], ARGV[i + 1], ARGV[i + 3])
  if not s then return refusal end
  if not recover(s, ARGV[i + 2] == 'yes') then return wrong_state(s, 'RECOVER') end
  return record(s)
end, true, show_again)
