-- POP: removes and returns the newest message of a chat.
-- USES: batch, requests, session_changes, messages
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat?, token?, req?
-- RETURNS: OK, NONE, STALE, ERR
return each(function(base, device, session, chat, token)
  local s, refusal = open_live(base, device, session, token, 'POP')
  if not s then return refusal end
  chat = chat_of(s, chat)
  local newest = chat and call('RPOP', log_of(s, chat))
  if not newest then return 'NONE' end
  return {'message', newest}, newest, #newest
end, function(_, _, kept) return {'message', kept}, nil, #kept end)
