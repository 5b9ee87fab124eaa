-- OPEN: makes a session, with its first chat; it is the device's current one. `links` are a line
-- each, `reserved` the reservations that were made for them, each between spaces.
-- USES: requests, session_json, session_create
-- KEYS: the base key of each request's partition
-- ARGV: device, session, thread (JSON), clocks, is_fenced?, members, links?, session_policy?,
--   fleet?, reserved?, token?, req?
-- RETURNS: OK, NONE, STALE, ERR, MORE, LARGE
return each(function(base, device, session, thread, clocks, is_fenced, members, links,
    session_policy, fleet, reserved, token)
  local s, refusal, flat = make(base, device, session, thread, clocks, is_fenced, members, links,
    session_policy, fleet, reserved, token)
  if not s then return refusal end
  return record(s, nil, flat, 0)
end, show_again)
