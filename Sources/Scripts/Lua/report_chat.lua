-- REPORT of a chat: the members for its age, its messages, and how many were said in all.
-- USES: batch, chat_address, requests, chat_json
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat
-- RETURNS: OK, NONE
return each(function(base, device, session, chat)
  local s = for_chat(base, device, session)
  chat = s and chat_of(s, chat)
  if not chat then return 'NONE' end
  local row, size = chat_row(s, chat)
  local said = attempt('HGET', s.key, 'q:' .. chat)
  if type(said) == 'table' then said = -1 end
  return {'chat_report', s.device, s.id, row, said, now_ms}, nil, size
end)
