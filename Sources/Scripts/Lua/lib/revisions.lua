-- What a caller has seen of a session.
-- USES: batch, session_find
-- GIVES: has_revision

-- Whether a session has a revision that a caller has seen; false without one.
local function has_revision(base, device, id, seen_rev)
  if seen_rev == '' then return false end
  local found, key = find_session(base, device, id)
  return found and attempt('HGET', key, 'rev') == seen_rev
end
