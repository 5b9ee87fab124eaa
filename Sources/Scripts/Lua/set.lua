-- SET: merges members into a session: parts, names and values in turn. A new user needs a
-- reservation first, as in link.lua.
-- USES: requests, links, reservations, session_changes, merge
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, members, seen_rev?, user?, reserved?, token?, req?
-- RETURNS: OK, NONE, STALE, ERR, MORE
return each(function(base, device, session, members, seen_rev, user, reserved, token)
  local s, refusal = open_live(base, device, session, token, 'SET')
  if not s then return refusal end
  seen_rev = tonumber(seen_rev)
  if seen_rev and seen_rev > s.rev then return string.format('STALE {"rev":%d}', s.rev) end
  local full = user ~= '' and links_full(s, 'user', user, 'user')
  if full then return full end
  local needed = user ~= '' and not has_link(s, 'user', user) and {'user/' .. user} or {}
  local more = unreserved(s.id, s.state, needed, reserved)
  if more then return more end
  refusal = merge(s, parts(members), seen_rev)
  if refusal then return refusal end
  if user ~= '' then set_user(s, user) end
  return string.format('OK {"rev":%d}', s.rev)
end)
