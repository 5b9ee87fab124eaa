-- IMPORT of a session that is too large for one call: writes a part of it aside, from where
-- `import` puts all of them in place in one step. `list` is as `import` takes it, by `kind`:
-- `fields`, `messages` or `documents`; `drop` removes all parts. `chats` are the numbers of all its
-- chats. A part that is followed by none for `keep_ms` goes by itself. Replies how many there are.
-- USES: batch, requests, session_index, session_changes, import_checks, import_stage, documents
-- KEYS: the base key of each request's partition
-- ARGV: device, stage, kind, list?, chats?, keep_ms
-- RETURNS: OK
return each(function(base, device, stage, kind, list, chats, keep_ms)
  local s = staged_session(base, device, stage, chats)
  if kind == 'drop' then
    call('UNLINK', unpack(keys_of(s)))
    return 'OK'
  end
  list = parts(list)
  if kind == 'fields' then
    call('HSET', s.key, unpack(list))
  elseif kind == 'messages' then
    restore_messages(s, list)
  else
    restore_documents(s, list)
  end
  return 'OK {"parts":' .. text(note_part(s, keep_ms)) .. '}'
end)
