-- GET of a chat.
-- USES: chat_address, requests, chat_json
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat
-- RETURNS: OK, NONE
return each(function(base, device, session, chat)
  local s = for_chat(base, device, session)
  chat = s and chat_of(s, chat)
  if not chat then return 'NONE' end
  local row, size = chat_row(s, chat)
  return {'chat', row}, nil, size
end)
