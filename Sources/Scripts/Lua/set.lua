-- SET: merges members into a session. A new user needs a reservation first, as in link.lua.
-- USES: requests, links, reservations, session_changes, merge
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, members, revision seen or empty, user or empty, reservations made
--   (each between spaces) or empty, token or empty, request id or empty
-- RETURNS: OK, NONE, STALE, ERR, MORE
return each(8, function(base, i)
  local user = ARGV[i + 4]
  local s, refusal = open_live(base, ARGV[i], ARGV[i + 1], ARGV[i + 6], 'SET')
  if not s then return refusal end
  local seen_rev = tonumber(ARGV[i + 3])
  if seen_rev and seen_rev > s.rev then return string.format('STALE {"rev":%d}', s.rev) end
  local full = user ~= '' and links_full(s, 'user', user, 'user')
  if full then return full end
  local needed = user ~= '' and not has_link(s, 'user', user) and {'user/' .. user} or {}
  local more = unreserved(s.id, s.state, needed, ARGV[i + 5])
  if more then return more end
  refusal = merge(s, parts(ARGV[i + 2]), seen_rev)
  if refusal then return refusal end
  if user ~= '' then set_user(s, user) end
  return string.format('OK {"rev":%d}', s.rev)
end, true)
