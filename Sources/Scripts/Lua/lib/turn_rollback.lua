-- How the messages of a turn are taken back.
-- USES: batch, pushes, session_load, chat_address, messages, chat_ids, chat_removal
-- GIVES: roll_back

-- Removes messages of a chat by their numbers, the newest first: those stand near the end.
local function unsay(log, first, last)
  for seq = last, first, -1 do
    local place, entry = place_of_seq(log, seq)
    if place then
      call('LREM', log, '-1', entry)
      sync_ids(log, seq)
    end
  end
end

-- Removes all that a turn has said. Of a session or a chat that is gone nothing is left to remove.
local function roll_back(t)
  for id, chat, first, last in string.gmatch(t.said, '(%w+)/(%d+) (%d+) (%d+)\n') do
    local ok, s = pcall(load, t.base, t.device, id)
    if ok and s and chat_of(s, chat) then
      first, last = tonumber(first), tonumber(last)
      unsay(log_of(s, chat), first, last)
      push_unsaid(s, tonumber(chat), first, last)
    end
  end
end
