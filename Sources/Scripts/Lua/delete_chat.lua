-- DELETE of a chat: removes it with its messages; its number is not given again.
-- USES: messages, chat_records, session_changes, requests
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, chat, token or empty, request id or empty
-- RETURNS: OK, NONE, STALE, ERR
return each(5, function(base, i)
  local s, refusal = open_live(base, ARGV[i], ARGV[i + 1], ARGV[i + 3], 'DELETE')
  if not s then return refusal end
  local chat = chat_of(s, ARGV[i + 2])
  if not chat then return 'NONE' end
  remove_chat(s, chat)
  return 'OK'
end, true)
