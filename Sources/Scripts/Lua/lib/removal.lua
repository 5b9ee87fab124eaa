-- The removal of a session whose record is corrupt.
-- USES: batch, activity, ledger, clocks, links, session_changes, session_index, session_find,
--   device_current
-- GIVES: remove_corrupt

-- Removes a record and the keys of its chats: those of the first numbers, of all numbers in
-- `chats`, and of all members that are a chat's.
local function remove_keys(key)
  local numbers, chats = {}, attempt('HGET', key, 'chats')
  for number in string.gmatch(type(chats) == 'string' and chats or '', '%d+') do
    numbers[#numbers + 1] = number
  end
  for _, member in ipairs(attempt('HKEYS', key)) do
    numbers[#numbers + 1] = string.match(member, '^%l:(%d+)$')
  end
  local chats_read = {}
  for chat = 1, CHATS_READ_MAX do chats_read[chat] = chat end
  call('UNLINK', unpack(keys_of({key = key, chats = chats_read})))
  for _, number in ipairs(numbers) do
    call('UNLINK', key .. '/' .. number, key .. '/' .. number .. '/ids')
  end
end

-- Removes a session whose record is corrupt, and its entries in the indexes. Its state is the
-- record's, or else that of the deadline index.
local function remove_corrupt(base, device, asked, token)
  local id, key, users = find_session(base, device, asked)
  if call('EXISTS', key) == 0 then
    id = find_other(base, device, asked, id) or id
    key = base .. ':session:' .. device .. '/' .. id
  end
  local seen = attempt('HMGET', key, 'state', 'links', 'fenced', 'chats')
  local refusal = token == '' and seen[3] == 'yes' and 'STALE {"rev":null}'
    or check_fence(base, device, token, 'null', users)
  if refusal then return refusal end
  local state = (LIVE[seen[1]] or KEPT[seen[1]]) and seen[1]
  for name, letter in string.gmatch(LETTERS, '(%l+)=(%l)') do
    local member = letter .. ':' .. device .. '/' .. id
    if attempt('ZREM', base .. ':due', member) == 1 then state = state or name end
  end
  local s = {base = base, device = device, id = id, key = key, state = state or 'deleted',
    reason = 'null', links = type(seen[2]) == 'string' and seen[2] or ''}
  announce_deleted(s)
  if LIVE[state] then count_live(s, -1) end
  remove_keys(key)
  enqueue_links(s, s.links)
  if state then count(base, 'state:' .. state, -1) end
  if LIVE[state] then count_chats(base, #(chat_numbers(seen[4] or '1') or {1}), -1) end
  attempt('ZREM', base .. ':sessions', device .. '/' .. id)
  drop_activity(base, device, id)
  regardless(has_gone, base, device, id)
  return 'OK'
end
