-- A session's part in the report of a user: whether it is live, its chats, its messages and its
-- last activity.
-- USES: batch, requests, session_index, session_load, links, messages
-- KEYS: the base key of each request's partition
-- ARGV: device, session, kind, ref
-- RETURNS: OK, NONE
return each(function(base, device, session, kind, ref)
  local s = load(base, device, session)
  if not s or not has_link(s, kind, ref) then return 'NONE' end
  local messages = 0
  for _, chat in ipairs(s.chats) do messages = messages + call('LLEN', log_of(s, chat)) end
  return string.format('OK %d %d %d %.0f', LIVE[s.state] and 1 or 0, #s.chats, messages,
    s.active)
end)
