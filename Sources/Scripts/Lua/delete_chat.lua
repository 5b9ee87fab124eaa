-- DELETE of a chat: removes it with its messages; its number is not given again.
-- USES: chat_address, chat_records, session_changes, requests
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat, token?, req?
-- RETURNS: OK, NONE, STALE, ERR
return each(function(base, device, session, chat, token)
  local s, refusal = open_live(base, device, session, token, 'DELETE')
  if not s then return refusal end
  chat = chat_of(s, chat)
  if not chat then return 'NONE' end
  remove_chat(s, chat)
  return 'OK'
end)
