-- LINK: links a session. Without a reservation in the link's partition it asks for one (MORE, see
-- reservations) and changes nothing.
-- USES: requests, links, policies, reservations, session_changes
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, kind, ref, reserved?, token?, req?
-- RETURNS: OK, NONE, STALE, ERR, MORE
return each(function(base, device, session, kind, ref, reserved, token)
  local s, refusal = open_for_change(base, device, session, token)
  if not s then return refusal end
  if has_link(s, kind, ref) then return 'OK' end
  local full = links_full(s, kind, ref)
  if full then return full end
  local more = unreserved(s.id, s.state, {kind .. '/' .. ref}, reserved, stored_policy(s))
  if more then return more end
  add_link(s, kind, ref)
  return 'OK'
end)
