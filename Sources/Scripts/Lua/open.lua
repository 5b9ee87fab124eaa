-- OPEN: makes a session, with its first chat; it is the device's current one. `reserved` are the
-- reservations that were made for its links, each between spaces.
-- USES: requests, session_json, session_create
-- KEYS: the base key of each request's partition
-- ARGV: device, fleet?, reserved?, token?, NEW, req?
-- RETURNS: OK, NONE, STALE, ERR, MORE, LARGE
return each(function(base, device, fleet, reserved, token, ...)
  local s, refusal, flat = make(base, device, fleet, reserved, token, ...)
  if not s then return refusal end
  return record(s, nil, flat, 0)
end, show_again)
