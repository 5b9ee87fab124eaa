-- How messages are appended to a chat.
-- USES: batch, chat_figures, activity, changes, pushes, clocks, numbers, session_members, messages,
--   turn_records, chat_ids, chat_known, chat_limits, chat_removal
-- RARELY: gone_by, newest_seq, seq_at, note_said, without_known, note_ids, trim_ids, limits_of,
--   full_chat, remove_after, push_said
-- GIVES: say

-- Appends messages to a chat of a session, each behind whose it is; those of a turn `t` are noted
-- there; with `member` those whose value of it is in the chat already are left out; those after the
-- number `after` are removed first; `sealed` and `index` as for `without_known`. Returns the newest
-- number and further members of the reply, the entries and how many the chat has then; or nil and a
-- refusal.
local function say(s, chat, messages, t, member, after, sealed, index)
  local entries, log, number = {}, log_of(s, chat), text(chat)
  local seq, asked_at, answered_n, answered_ms, line, policy = chat_members(s, chat)
  -- A chat with an index has a line of limits.
  local indexed = line and call('HGET', s.key, 'i:' .. number)
  -- A corrupt key fails this before anything is written: else its first command is the append.
  if t or member then call('LLEN', log) end
  local rest = ''
  if member then
    local known
    messages, known, sealed = without_known(s, chat, messages, member, indexed, line, after,
      sealed, index)
    if not messages then return nil, known end
    if known > 0 then rest = ',"known":' .. text(known) end
    if #messages == 0 then
      if after and remove_after(log, after) > 0 then
        note_activity(s)
        call('HSET', s.key, 'active', now_text)
      end
      return newest_seq(log), rest
    end
  end
  local most, full = MESSAGES_MAX, nil
  if line or policy then
    most, full = limits_of(line, policy), full_chat(log, line, policy, #messages / 2, after)
  end
  -- A number that is corrupt goes on from the newest message's.
  seq = whole(seq or 0) or newest_seq(log)
  for n = 2, #messages, 2 do entries[n / 2] = entry_of(text(seq + n / 2), now_text, messages[n]) end
  if not full and t and not note_said(t, s.id, chat, seq + 1, seq + #entries) then
    full = 'ERR quota quota exceeded: 1000 of 1000 pieces in which this turn may say messages'
  end
  if full then
    if member then call('UNLINK', log .. '/ids') end
    return nil, full
  end
  if after then remove_after(log, after) end
  seq = seq + #entries
  local writes = chat_figures(number, messages, asked_at, answered_n, answered_ms)
  local length, first = append(log, entries), nil
  if length > most then
    first = seq_at(log, length - most)
    writes[#writes + 1] = 'd:' .. number
    writes[#writes + 1] = text(first - 1)
  end
  note_activity(s)
  write_members(s, 'active', now_text, 'q:' .. number, text(seq), unpack(writes))
  if length > most then
    call('LTRIM', log, text(-most), '-1')
    rest = rest .. ',"trimmed":' .. text(length - most)
  end
  if member or indexed then
    note_ids(log, seq - #entries + 1, messages, member or indexed, member and sealed)
    if length > most then trim_ids(log) end
  end
  if length == #entries and gone_by(s) then call('PEXPIREAT', log, text(gone_by(s))) end
  if is_watched(s.base, s.device) then push_said(s, chat, seq, entries, first) end
  return seq, rest, entries, math.min(length, most)
end
