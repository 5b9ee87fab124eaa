-- GET: a session's record. Reading is not activity and changes nothing.
-- USES: requests, session_json
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty
-- RETURNS: OK, NONE
return each(2, function(base, i) return show(base, ARGV[i], ARGV[i + 1]) end)
