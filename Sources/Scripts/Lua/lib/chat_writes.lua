-- How messages are appended to a chat.
-- USES: batch, chat_figures, activity, changes, pushes, clocks, numbers, session_members, messages,
--   turn_records, chat_ids, chat_known, chat_limits, chat_removal
-- RARELY: gone_by, newest_seq, seq_at, note_said, without_known, note_ids, trim_ids, limits_of,
--   full_chat, remove_after, push_said
-- GIVES: say

-- Appends messages to a chat of a session, each behind whose it is; those of a turn `t` are noted
-- there; with `member` those whose value of it is in the chat already are left out; those after the
-- number `after` are removed first; `sealed` and `index` as for `without_known`. Returns the newest
-- number and further members of the reply, the entries that were written and how many the chat has
-- then; or nil and a refusal.
local function say(s, chat, messages, t, member, after, sealed, index)
  local log, number = log_of(s, chat), text(chat)
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
  local count = #messages / 2
  if not full and t and not note_said(t, s.id, chat, seq + 1, seq + count) then
    full = 'ERR quota quota exceeded: 1000 of 1000 pieces in which this turn may say messages'
  end
  if full then
    if member then call('UNLINK', log .. '/ids') end
    return nil, full
  end
  if after then remove_after(log, after) end
  local writes = chat_figures(number, messages, asked_at, answered_n, answered_ms)
  -- Those that the chat would drop in the same step are not written.
  local skipped = math.max(0, count - most)
  local entries = entries_of(seq, messages, skipped)
  local length = append(log, entries) + skipped
  local is_over = length > most
  if is_over then
    -- Of what is dropped the newest: between that and the first that stays some may be popped.
    writes[#writes + 1] = 'd:' .. number
    writes[#writes + 1] = text(skipped > 0 and seq + skipped or seq_at(log, length - most - 1))
  end
  seq = seq + count
  note_activity(s)
  write_members(s, 'active', now_text, 'q:' .. number, text(seq), unpack(writes))
  if is_over then
    call('LTRIM', log, text(-most), '-1')
    rest = rest .. ',"trimmed":' .. text(length - most)
  end
  if member or indexed then
    note_ids(log, seq - count, messages, skipped, member or indexed, member and sealed)
    if is_over then trim_ids(log) end
  end
  if length == count and gone_by(s) then call('PEXPIREAT', log, text(gone_by(s))) end
  if is_watched(s.base, s.device) then
    push_said(s, chat, seq, entries, is_over and seq_at(log, 0))
  end
  return seq, rest, entries, math.min(length, most)
end
