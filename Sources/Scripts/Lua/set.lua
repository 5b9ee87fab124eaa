-- SET: merges members into a session.
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, members, revision seen or empty, token or empty, request id or
--   empty
-- RETURNS: OK, NONE, STALE, ERR
return each(6, function(base, i)
  local s, refusal = open_live(base, ARGV[i], ARGV[i + 1], ARGV[i + 4], 'SET')
  if not s then return refusal end
  refusal = merge(s, parts(ARGV[i + 2]), tonumber(ARGV[i + 3]))
  if refusal then return refusal end
  forget_removed(s)
  touch(s)
  return string.format('OK {"rev":%d}', s.rev)
end, true)
