-- PUT: writes a document.
-- USES: batch, activity, changes, requests, session_changes, documents, document_writes
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, key, ttl_ms?, wanted? (absent or present), seen_rev?, value, token?, req?
-- RETURNS: OK, NONE, STALE, ERR

return each(function(base, device, session, key, ttl_ms, wanted, seen_rev, value, token)
  local s, refusal = open_live(base, device, session, token, 'PUT')
  if not s then return refusal end
  local before = find_document(s.key, key)
  local is_there = before and not before.is_over
  if is_there and (wanted == 'absent' or seen_rev ~= '' and seen_rev ~= before.rev) then
    return 'STALE {"rev":' .. (before.rev or 'null') .. '}'
  end
  if not is_there and (wanted == 'present' or seen_rev ~= '' and seen_rev ~= '0') then
    return 'NONE'
  end
  refusal = not before and no_room(s, 1)
  if refusal then return refusal end
  s.rev = s.rev + 1
  local ends_at = ttl_ms ~= '' and text(now_ms + ttl_ms) or ''
  write_document(s, key, text(s.rev), now_text, ends_at, value, before)
  note_activity(s)
  call('HSET', s.key, 'rev', text(s.rev), 'active', now_text, 'updated', now_text)
  push(base, device, 'session.changed', s.id, nil, ',"rev":%.0f,"members":["documents"]', s.rev)
  return 'OK {"rev":' .. text(s.rev) .. ',"created":' .. tostring(not is_there) .. '}'
end)
