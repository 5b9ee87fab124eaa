-- POP: removes and returns the newest message of a chat.
-- USES: batch, requests, session_changes, messages
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, chat or empty, token or empty, request id or empty
-- RETURNS: OK, NONE, STALE, ERR
return each(5, function(base, i)
  local s, refusal = open_live(base, ARGV[i], ARGV[i + 1], ARGV[i + 3], 'POP')
  if not s then return refusal end
  local chat = chat_of(s, ARGV[i + 2])
  local newest = chat and call('RPOP', log_of(s, chat))
  if not newest then return 'NONE' end
  return {'message', newest}, newest, #newest
end, true, function(_, _, kept) return {'message', kept}, nil, #kept end)
