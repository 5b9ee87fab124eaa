-- SAY: appends messages to a chat.
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, chat or empty, messages, token or empty, request id or empty
-- RETURNS: OK, NONE, STALE, ERR
return each(6, function(base, i)
  local s, refusal = open_live(base, ARGV[i], ARGV[i + 1], ARGV[i + 4], 'SAY')
  if not s then return refusal end
  local chat = chat_of(s, ARGV[i + 2])
  if not chat then return 'NONE' end
  local messages = parts(ARGV[i + 3])
  local log, seq = log_of(s, chat), call('HINCRBY', s.key, 'q:' .. chat, #messages) - #messages
  local is_first = call('EXISTS', log) == 0
  for n, message in ipairs(messages) do
    call('XADD', log, 'MAXLEN', MESSAGES_MAX, (seq + n) .. '-0', 'a', now_ms, 'm', message)
  end
  if is_first and gone_by(s) then call('PEXPIREAT', log, string.format('%.0f', gone_by(s))) end
  touch(s)
  return 'OK {"seq":' .. (seq + #messages) .. ',"chat":' .. chat .. '}'
end, true)
