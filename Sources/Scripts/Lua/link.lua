-- LINK: links a session. Without a reservation in the link's partition it asks for one (MORE, with
-- the session's id and whether it is live) and changes nothing.
-- USES: requests, links, session_changes
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, kind, ref, place taken (yes or empty), token or empty, request
--   id or empty
-- RETURNS: OK, NONE, STALE, ERR, MORE
return each(7, function(base, i)
  local kind, ref = ARGV[i + 2], ARGV[i + 3]
  local s, refusal = open_for_change(base, ARGV[i], ARGV[i + 1], ARGV[i + 5])
  if not s then return refusal end
  if has_link(s, kind, ref) then return 'OK' end
  local full = links_full(s, kind, ref)
  if full then return full end
  if ARGV[i + 4] == '' then return more(s) end
  add_link(s, kind, ref)
  return 'OK'
end, true)
