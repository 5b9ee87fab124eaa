-- SAY: appends messages to a chat.
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, chat or empty, messages (each after whose it is), token or
--   empty, request id or empty
-- RETURNS: OK, NONE, STALE, ERR
return each(6, function(base, i)
  local s, refusal = open_live(base, ARGV[i], ARGV[i + 1], ARGV[i + 4], 'SAY')
  if not s then return refusal end
  local chat = chat_of(s, ARGV[i + 2])
  if not chat then return 'NONE' end
  local messages = parts(ARGV[i + 3])
  local n_said = #messages / 2
  local log, seq = log_of(s, chat), call('HINCRBY', s.key, 'q:' .. chat, n_said) - n_said
  local is_first = call('EXISTS', log) == 0
  for n = 1, n_said do
    time_answer(s, chat, messages[2 * n - 1])
    local id = text(seq + n) .. '-0'
    call('XADD', log, 'MAXLEN', MESSAGES_MAX, id, 'a', now_text, 'm', messages[2 * n])
  end
  if is_first and gone_by(s) then call('PEXPIREAT', log, string.format('%.0f', gone_by(s))) end
  touch(s)
  return 'OK {"seq":' .. (seq + n_said) .. ',"chat":' .. chat .. '}'
end, true)
