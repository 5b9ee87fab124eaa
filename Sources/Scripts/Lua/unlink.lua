-- UNLINK: removes a link; a missing one is no error.
-- USES: requests, links, session_changes
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, kind, ref, token or empty, request id or empty
-- RETURNS: OK, NONE, STALE
return each(6, function(base, i)
  local s, refusal = open_for_change(base, ARGV[i], ARGV[i + 1], ARGV[i + 4])
  if not s then return refusal end
  drop_link(s, ARGV[i + 2], ARGV[i + 3])
  return 'OK'
end, true)
