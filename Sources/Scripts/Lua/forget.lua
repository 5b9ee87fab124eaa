-- FORGET: removes all messages of a chat.
-- USES: batch, requests, session_changes, messages
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat?, token?, req?
-- RETURNS: OK, NONE, STALE, ERR
return each(function(base, device, session, chat, token)
  local s, refusal = open_live(base, device, session, token, 'FORGET')
  if not s then return refusal end
  chat = chat_of(s, chat)
  if not chat then return 'NONE' end
  local removed = attempt('LLEN', log_of(s, chat))
  call('DEL', log_of(s, chat))
  -- The number of messages is not known of a key that is no list.
  if type(removed) ~= 'number' then return 'OK {"removed":null,"damaged":["removed"]}' end
  return 'OK {"removed":' .. removed .. '}'
end)
