-- How a turn is shown.
-- USES: batch, session_load, large_sessions, session_fields, chat_address, messages, turn_records,
--   turn_settling, turn_messages
-- RARELY: load, chat_of, log_of, running_turn, turn_settling, newest_entries
-- GIVES: shown_turn, shown_again, busy

-- A turn for the worker: members of its line as JSON, the session's record, messages, and for how
-- long its caller has waited; and of a large session, whose fields the worker reads in parts, where
-- it is. The messages are as `newest_of` gives them.
local function shown_turn(s, members, waited_ms, entries, more, bytes)
  local flat, large = s.flat, nil
  if not flat and is_large(s.key) then
    flat, large = without_fields(s.key), s.device .. ' ' .. s.id .. (s.users or '')
  end
  flat = flat or attempt('HGETALL', s.key)
  for n = 2, #flat, 2 do bytes = bytes + #flat[n] end
  return {'turn', members, flat, entries, more and 1 or 0, tonumber(waited_ms), large}, bytes
end

-- The reply of which this was kept, with the session and the messages as they are now. A retry has
-- waited for nothing.
local function shown_again(base, device, kept, users, waited_ms)
  local id, chat, limit, number, rest = string.match(kept, '^(%w+) (%d+) (%d+) (%d+) (.*)$')
  if not id then
    return string.match(kept, '^OK {') and kept
  end
  local s = load(base, device, id .. users, 'record')
  if not s or not chat_of(s, chat) then return 'NONE' end
  local t = running_turn(base, device, number)
  if t and t.settle ~= '' then return turn_settling.reply(t, kept) end
  local members = '"turn":' .. number .. ',"ttl_ms":' .. text(t and t.ends_at - now_ms or 0) .. rest
  local reply, size = shown_turn(s, members, waited_ms or 0,
    newest_entries(log_of(s, chat), tonumber(limit)))
  return reply, nil, size
end

-- The turn may have ended in this moment.
local function busy(t, ahead)
  local agent = t and t.agent ~= '' and '"' .. t.agent .. '"' or 'null'
  return string.format('BUSY {"agent":%s,"ttl_ms":%.0f,"ahead":%.0f}', agent,
    t and t.ends_at - now_ms or 0, ahead)
end
