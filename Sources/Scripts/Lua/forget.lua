-- FORGET: removes all messages of a chat.
-- USES: batch, requests, session_changes, messages
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, chat or empty, token or empty, request id or empty
-- RETURNS: OK, NONE, STALE, ERR
return each(5, function(base, i)
  local s, refusal = open_live(base, ARGV[i], ARGV[i + 1], ARGV[i + 3], 'FORGET')
  if not s then return refusal end
  local chat = chat_of(s, ARGV[i + 2])
  if not chat then return 'NONE' end
  local removed = attempt('LLEN', log_of(s, chat))
  call('DEL', log_of(s, chat))
  -- The number of messages is not known of a key that is no list.
  if type(removed) ~= 'number' then return 'OK {"removed":null,"damaged":["removed"]}' end
  return 'OK {"removed":' .. removed .. '}'
end, true)
