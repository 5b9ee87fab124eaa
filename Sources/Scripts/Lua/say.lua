-- SAY: appends messages to a chat; they are parts, each after whose it is.
-- USES: batch, requests, clocks, session_changes, messages, session_load, chat_records
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat?, messages, token?, req?
-- RETURNS: OK, NONE, STALE, ERR
return each(function(base, device, session, chat, messages, token)
  local s, refusal = open_live(base, device, session, token, 'SAY', 'q:1', 't:1', 'answers',
    'answer_ms')
  if not s then return refusal end
  local is_current = is_current_chat(chat)
  chat = chat_of(s, chat)
  -- Where there is no chat at all, the current one is made.
  if not chat and is_current then chat = add_chat(s, 'null', 'null') end
  if not chat then return 'NONE' end
  messages = parts(messages)
  local entries, log, number = {}, log_of(s, chat), text(chat)
  -- Most sessions have one chat: its members came with the session's own.
  local seq, asked_at, answered_n, answered_ms = unpack(s.members, 13, 16)
  if chat ~= 1 then
    seq, asked_at = unpack(call('HMGET', s.key, 'q:' .. number, 't:' .. number), 1, 2)
  end
  -- Figures that are corrupt begin again; the number goes on from the newest message's.
  local was_asked = whole(asked_at)
  seq = whole(seq or 0) or newest_seq(log)
  for n = 2, #messages, 2 do
    seq = seq + 1
    entries[n / 2] = entry_of(text(seq), now_text, messages[n])
  end
  local writes, asked, answers, ms = {}, answers_in(messages, was_asked)
  if asked ~= was_asked then writes = {'t:' .. number, asked and now_text or ''} end
  if answers > 0 then
    writes[#writes + 1] = 'answers'
    writes[#writes + 1] = text((whole(answered_n) or 0) + answers)
    writes[#writes + 1] = 'answer_ms'
    writes[#writes + 1] = text((whole(answered_ms) or 0) + ms)
  end
  -- First the write that may fail, in a corrupt key; a full Redis refuses either.
  local length = append(log, entries)
  if length > MESSAGES_MAX then
    writes[#writes + 1] = 'd:' .. number
    writes[#writes + 1] = text(seq_at(log, length - MESSAGES_MAX) - 1)
  end
  call('HSET', s.key, 'active', now_text, 'q:' .. number, text(seq), unpack(writes))
  if length > MESSAGES_MAX then call('LTRIM', log, text(-MESSAGES_MAX), '-1') end
  if length == #entries and gone_by(s) then call('PEXPIREAT', log, text(gone_by(s))) end
  return 'OK {"seq":' .. text(seq) .. ',"chat":' .. number .. '}'
end)
