-- UNLINK: removes a link; a missing one is no error.
-- USES: requests, links, session_changes
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, kind, ref, token?, req?
-- RETURNS: OK, NONE, STALE
return each(function(base, device, session, kind, ref, token)
  local s, refusal = open_for_change(base, device, session, token)
  if not s then return refusal end
  drop_link(s, kind, ref)
  return 'OK'
end)
