-- How messages are removed by their numbers.
-- USES: batch, messages, numbers, chat_ids
-- GIVES: ahead, remove_after, place_of_seq

-- The refusal of a number that is greater than any that the chat has given; or nil.
local function ahead(s, chat, seq)
  local log = log_of(s, chat)
  local latest = whole(call('HGET', s.key, 'q:' .. text(chat)) or 0) or newest_seq(log)
  return seq > latest and 'STALE {"seq":' .. text(newest_seq(log)) .. '}' or nil
end

-- Removes the messages after a number; returns how many there were.
local function remove_after(log, seq)
  local length, place = call('LLEN', log), place_after(log, seq)
  if place == length then return 0 end
  if place == 0 then call('UNLINK', log) else call('LTRIM', log, '0', text(place - 1)) end
  sync_ids(log)
  return length - place
end

-- The place of the message of a number, and its entry; nil if it is gone.
local function place_of_seq(log, seq)
  local place = place_after(log, seq - 1)
  local entry = call('LINDEX', log, text(place))
  if entry and find(entry, '^' .. text(seq) .. ',') then return place, entry end
end
