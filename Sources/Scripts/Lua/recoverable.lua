-- Whether a session of a user can be recovered, and of this thread (JSON) if one is asked for; and
-- when it was active last.
-- USES: batch, requests, session_index, session_load, links
-- KEYS: the base key of each request's partition
-- ARGV: device, session, user, thread?
-- RETURNS: OK, NONE
return each(function(base, device, session, user, thread)
  local s = load(base, device, session)
  local is_one = s and (LIVE[s.state] or s.state == 'abandoned') and has_link(s, 'user', user)
  if not is_one then return 'NONE' end
  local own = thread ~= '' and (call('HGET', s.key, 'thread') or '"' .. s.id .. '"')
  if own and own ~= thread then return 'NONE' end
  return string.format('OK %.0f', s.active)
end)
