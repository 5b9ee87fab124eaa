-- CHATS: the chats of a session.
-- USES: requests, chat_json
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty
-- RETURNS: OK, NONE
return each(2, function(base, i)
  local s, refusal = for_chat(base, ARGV[i], ARGV[i + 1])
  if not s then return refusal end
  local list, size, bytes = {}, 0, 0
  for n, chat in ipairs(s.chats) do
    list[n], bytes = chat_row(s, chat)
    size = size + bytes
  end
  return {'chats', s.current, list}, nil, size
end)
