-- How messages are appended to a chat.
-- USES: batch, clocks, session_load, messages, turn_records
-- GIVES: say

-- Appends messages to a chat of a session, each behind whose it is; those of a turn `t` are noted
-- there. A session that was loaded with `q:1`, `t:1`, `answers` and `answer_ms` is not read again.
-- Returns the newest number, or nil and a refusal.
local function say(s, chat, messages, t)
  local entries, log, number = {}, log_of(s, chat), text(chat)
  -- Most sessions have one chat: its members may have come with the session's own.
  local seq, asked_at, answered_n, answered_ms = unpack(s.members or {}, 13, 16)
  if chat ~= 1 or seq == nil then
    seq, asked_at, answered_n, answered_ms = unpack(call('HMGET', s.key, 'q:' .. number,
      't:' .. number, 'answers', 'answer_ms'), 1, 4)
  end
  -- Figures that are corrupt begin again; the number goes on from the newest message's.
  local was_asked = whole(asked_at)
  seq = whole(seq or 0) or newest_seq(log)
  for n = 2, #messages, 2 do entries[n / 2] = entry_of(text(seq + n / 2), now_text, messages[n]) end
  -- A corrupt key fails this before anything is written.
  call('LLEN', log)
  if t and not note_said(t, s.id, chat, seq + 1, seq + #entries) then
    return nil, 'ERR quota a turn may say messages in 1000 pieces'
  end
  seq = seq + #entries
  local writes, asked, answers, ms = {}, answers_in(messages, was_asked)
  if asked ~= was_asked then writes = {'t:' .. number, asked and now_text or ''} end
  if answers > 0 then
    writes[#writes + 1] = 'answers'
    writes[#writes + 1] = text((whole(answered_n) or 0) + answers)
    writes[#writes + 1] = 'answer_ms'
    writes[#writes + 1] = text((whole(answered_ms) or 0) + ms)
  end
  local length = append(log, entries)
  if length > MESSAGES_MAX then
    writes[#writes + 1] = 'd:' .. number
    writes[#writes + 1] = text(seq_at(log, length - MESSAGES_MAX) - 1)
  end
  call('HSET', s.key, 'active', now_text, 'q:' .. number, text(seq), unpack(writes))
  if length > MESSAGES_MAX then call('LTRIM', log, text(-MESSAGES_MAX), '-1') end
  if length == #entries and gone_by(s) then call('PEXPIREAT', log, text(gone_by(s))) end
  return seq
end
