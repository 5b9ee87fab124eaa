-- What a caller has seen of a session.
-- USES: batch, session_find
-- GIVES: has_revision

-- Whether a session has a revision that a caller has seen; false without one.
local function has_revision(base, device, id, seen_rev)
  if seen_rev == '' then return false end
  local found, key, users, _, _, is_likely = find_session(base, device, id, true)
  if is_likely then
    local seen = attempt('HMGET', key, 'rev', 'state', 'links')
    if is_confirmed(id, users, seen[2], seen[3]) then return seen[1] == seen_rev end
    found, key = find_session(base, device, id)
  end
  return found and attempt('HGET', key, 'rev') == seen_rev
end
