-- LINK: links a session. Without a reservation in the link's partition it asks for one (MORE, see
-- reservations) and changes nothing.
-- USES: requests, links, reservations, session_changes
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, kind, ref, reservations made (each between spaces) or empty,
--   token or empty, request id or empty
-- RETURNS: OK, NONE, STALE, ERR, MORE
return each(7, function(base, i)
  local kind, ref = ARGV[i + 2], ARGV[i + 3]
  local s, refusal = open_for_change(base, ARGV[i], ARGV[i + 1], ARGV[i + 5])
  if not s then return refusal end
  if has_link(s, kind, ref) then return 'OK' end
  local full = links_full(s, kind, ref)
  if full then return full end
  local more = unreserved(s.id, s.state, {kind .. '/' .. ref}, ARGV[i + 4])
  if more then return more end
  add_link(s, kind, ref)
  return 'OK'
end, true)
