-- SAY: appends messages to a chat.
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, chat or empty, messages (each after whose it is), token or
--   empty, request id or empty
-- RETURNS: OK, NONE, STALE, ERR

-- Keeps the time from a user's message to the next message of somebody else. `whose` is `user`,
-- `other`, or empty where the message does not say.
local function time_answer(s, chat, whose)
  if whose == 'user' then
    call('HSET', s.key, 't:' .. chat, now_text)
  elseif whose == 'other' then
    local asked = call('HGET', s.key, 't:' .. chat)
    if not asked then return end
    call('HDEL', s.key, 't:' .. chat)
    call('HINCRBY', s.key, 'answers', 1)
    call('HINCRBY', s.key, 'answer_ms', math.max(0, now_ms - asked))
  end
end

return each(6, function(base, i)
  local s, refusal = open_live(base, ARGV[i], ARGV[i + 1], ARGV[i + 4], 'SAY')
  if not s then return refusal end
  local chat = chat_of(s, ARGV[i + 2])
  if not chat then return 'NONE' end
  local messages = parts(ARGV[i + 3])
  local n_said = #messages / 2
  local log, seq = log_of(s, chat), call('HINCRBY', s.key, 'q:' .. chat, n_said) - n_said
  local entries = {}
  for n = 1, n_said do
    time_answer(s, chat, messages[2 * n - 1])
    entries[n] = entry_of(text(seq + n), now_text, messages[2 * n])
  end
  local length = append(log, entries)
  if length > MESSAGES_MAX then call('LTRIM', log, -MESSAGES_MAX, -1) end
  if length == n_said and gone_by(s) then call('PEXPIREAT', log, text(gone_by(s))) end
  touch(s)
  return 'OK {"seq":' .. (seq + n_said) .. ',"chat":' .. chat .. '}'
end, true)
