-- How documents are written together, and the quota of a session's documents.
-- USES: batch, activity, changes, documents
-- RARELY: drop_expired
-- GIVES: no_room, no_room_for, write_documents

-- The refusal of so many documents more; or nil. Those whose time is over do not count.
local function no_room(s, added)
  local docs = s.key .. '/docs'
  if added == 0 or call('ZCARD', docs) + added <= DOCUMENTS_MAX then return nil end
  drop_expired(s.key, 1000)
  local count = call('ZCARD', docs)
  return count + added > DOCUMENTS_MAX and 'ERR quota quota exceeded: ' .. count .. ' of '
    .. DOCUMENTS_MAX .. ' documents in this session' or nil
end

-- The same for documents that are to be written, key and value in turn.
local function no_room_for(s, puts)
  local added = 0
  if call('ZCARD', s.key .. '/docs') + #puts / 2 <= DOCUMENTS_MAX then return nil end
  for n = 1, #puts, 2 do added = added + (find_document(s.key, puts[n]) and 0 or 1) end
  return no_room(s, added)
end

-- Removes what there is under these keys, 1,000 at most.
local function drop_documents(key, names)
  if #names == 0 then return end
  for _, name in ipairs(names) do
    call('ZREMRANGEBYLEX', key .. '/docs', '[' .. name .. '\0', '(' .. name .. '\1')
  end
  call('HDEL', key .. '/values', unpack(names))
  call('ZREM', key .. '/ttl', unpack(names))
end

-- Writes documents and removes others, under a revision of their own if they are all that changes.
local function write_documents(s, puts, drops, is_all)
  if #puts == 0 and #drops == 0 then return end
  if is_all then s.rev = s.rev + 1 end
  drop_documents(s.key, drops)
  for n = 1, #puts, 2 do
    local before = find_document(s.key, puts[n])
    write_document(s, puts[n], text(s.rev), now_text, '', puts[n + 1], before)
  end
  note_activity(s)
  call('HSET', s.key, 'rev', text(s.rev), 'active', now_text, 'updated', now_text)
  push(s.base, s.device, 'session.changed', s.id, nil, ',"rev":%.0f,"members":["documents"]',
    s.rev)
end
