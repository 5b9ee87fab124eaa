-- SWITCH: makes a chat the current one.
-- USES: batch, requests, session_changes, messages
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, chat, token or empty, request id or empty
-- RETURNS: OK, NONE, STALE, ERR
return each(5, function(base, i)
  local s, refusal = open_live(base, ARGV[i], ARGV[i + 1], ARGV[i + 3], 'SWITCH')
  if not s then return refusal end
  local chat = chat_of(s, ARGV[i + 2])
  if not chat then return 'NONE' end
  if chat ~= s.chat then
    s.rev = s.rev + 1
    call('HSET', s.key, 'chat', chat, 'rev', s.rev, 'updated', now_text)
  end
  touch(s)
  return 'OK {"chat":' .. chat .. '}'
end, true)
