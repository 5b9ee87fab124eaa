-- Closes a live session to make room for another at a quota, unless it was active since it was
-- chosen.
-- USES: batch, requests, session_index, session_load, transitions
-- KEYS: the base key of each request's partition
-- ARGV: device, session, active (ms)
-- RETURNS: OK, NONE
return each(function(base, device, session, active)
  local s = load(base, device, session)
  if not s then return 'NONE' end
  settle(s)
  if s.is_gone or not LIVE[s.state] or text(s.active) ~= active then return 'NONE' end
  transition(s, 'completed', now_ms, '"evicted"')
  return 'OK'
end)
