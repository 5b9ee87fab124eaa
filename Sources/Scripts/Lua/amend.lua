-- AMEND: replaces a message in its place; its number and time stay.
-- USES: batch, changes, requests, session_changes, chat_address, messages, chat_ids, chat_removal,
--   sealed
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat?, seq, message, token?, req?
-- RETURNS: OK, NONE, STALE, ERR
return each(function(base, device, session, chat, seq, message, token)
  local s, refusal = open_live(base, device, session, token, 'AMEND')
  if not s then return refusal end
  chat = chat_of(s, chat)
  local log = chat and log_of(s, chat)
  local place, entry = nil, nil
  if log then place, entry = place_of_seq(log, tonumber(seq)) end
  if not place then return 'NONE' end
  local at = string.match(entry, '^%d+,"at":(%d+),') or now_text
  call('LSET', log, text(place), entry_of(seq, at, message))
  local member = call('HGET', s.key, 'i:' .. text(chat))
  if member then
    sync_ids(log, tonumber(seq))
    note_ids(log, tonumber(seq) - 1, {'', message}, 0, member)
  end
  push(base, device, 'chat.amended', s.id, chat, ',"seq":%s,"message":%s', seq,
    plain_bytes(message) <= 4096 and message or 'null')
  touch(s)
  return 'OK'
end)
