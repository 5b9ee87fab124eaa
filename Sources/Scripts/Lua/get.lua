-- GET: a session's record. Reading is not activity and changes nothing.
-- USES: requests, session_json
-- KEYS: the base key of each request's partition
-- ARGV: device, session?
-- RETURNS: OK, NONE
return each(function(base, device, session) return show(base, device, session) end)
