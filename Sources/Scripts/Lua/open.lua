-- OPEN: makes a session, with its first chat; it is the device's current one.
-- USES: requests, session_json, session_create
-- KEYS: the base key of each request's partition
-- ARGV: device, session, thread (JSON), clocks, fenced (yes or no), members, links (a line each),
--   reservations made (each between spaces) or empty, token or empty, request id or empty
-- RETURNS: OK, NONE, STALE, ERR, MORE
return each(10, function(base, i)
  local s, refusal, flat = make(base, ARGV[i], i + 1)
  if not s then return refusal end
  return record(s, nil, flat, 0)
end, true, show_again)
