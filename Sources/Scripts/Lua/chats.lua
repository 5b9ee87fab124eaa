-- CHATS: the chats of a session.
-- USES: requests, chat_json
-- KEYS: the base key of each request's partition
-- ARGV: device, session?
-- RETURNS: OK, NONE
return each(function(base, device, session)
  local s, refusal = for_chat(base, device, session)
  if not s then return refusal end
  local list, size, bytes = {}, 0, 0
  for n, chat in ipairs(s.chats) do
    list[n], bytes = chat_row(s, chat)
    size = size + bytes
  end
  return {'chats', s.current, list}, nil, size
end)
