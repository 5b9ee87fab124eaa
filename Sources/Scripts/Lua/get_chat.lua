-- GET of a chat.
-- USES: messages, requests, chat_json
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, chat
-- RETURNS: OK, NONE
return each(3, function(base, i)
  local s = for_chat(base, ARGV[i], ARGV[i + 1])
  local chat = s and chat_of(s, ARGV[i + 2])
  if not chat then return 'NONE' end
  local row, size = chat_row(s, chat)
  return {'chat', row}, nil, size
end)
