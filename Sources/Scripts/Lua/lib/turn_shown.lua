-- How a turn is shown.
-- USES: batch, session_load, chat_address, messages, turn_records, turn_settling, turn_messages
-- GIVES: shown_turn, shown_again, busy

-- A turn for the worker: members of its line as JSON, the session's record, messages, and for how
-- long its caller has waited.
local function shown_turn(s, chat, limit, members, waited_ms)
  local entries, more = newest_entries(log_of(s, chat), limit)
  local flat, size = attempt('HGETALL', s.key), 0
  for n = 1, #flat do size = size + #flat[n] end
  return {'turn', members, flat, entries, more and 1 or 0, tonumber(waited_ms)},
    size + bytes_of(entries)
end

-- The reply of which this was kept, with the session and the messages as they are now. A retry has
-- waited for nothing.
local function shown_again(base, device, kept, waited_ms)
  local id, chat, limit, number, rest = string.match(kept, '^(%w+) (%d+) (%d+) (%d+) (.*)$')
  if not id then
    return string.match(kept, '^OK {') and kept
  end
  local s = load(base, device, id)
  if not s or not chat_of(s, chat) then return 'NONE' end
  local t = running_turn(base, device, number)
  if t and t.settle ~= '' then return turn_settling.reply(t, kept) end
  local members = '"turn":' .. number .. ',"ttl_ms":' .. text(t and t.ends_at - now_ms or 0) .. rest
  local reply, size = shown_turn(s, chat, tonumber(limit), members, waited_ms or 0)
  return reply, nil, size
end

-- The turn may have ended in this moment.
local function busy(t, ahead)
  local agent = t and t.agent ~= '' and '"' .. t.agent .. '"' or 'null'
  return string.format('BUSY {"agent":%s,"ttl_ms":%.0f,"ahead":%.0f}', agent,
    t and t.ends_at - now_ms or 0, ahead)
end
