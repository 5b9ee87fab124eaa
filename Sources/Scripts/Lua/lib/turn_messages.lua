-- The messages that a turn is given: the newest of its chat, or those that were joined to it.
-- USES: batch, messages
-- GIVES: newest_entries, joined_seqs, joined_entries, joined_count

-- A turn is given no more bytes of messages at once, but one message at least.
local GIVEN_BYTES = 1048576
local STEP = 16

-- The newest entries of a chat, oldest first, at most `limit`; and whether there are older ones.
local function newest_entries(log, limit)
  local place, bytes, newest, is_full = call('LLEN', log), 0, {}, false
  local left = math.min(limit, place)
  while left > 0 and not is_full do
    local n = math.min(STEP, left)
    local list = call('LRANGE', log, place - n, place - 1)
    for at = #list, 1, -1 do
      bytes = bytes + #list[at]
      is_full = bytes > GIVEN_BYTES and #newest > 0
      if is_full then break end
      newest[#newest + 1] = list[at]
    end
    place, left = place - n, left - n
  end
  local oldest_first = {}
  for at = #newest, 1, -1 do oldest_first[#oldest_first + 1] = newest[at] end
  return oldest_first, call('LLEN', log) > #newest
end

-- The numbers of the messages that wait for a turn, those after `seen` alone.
local function joined_seqs(t, seen)
  local seqs = {}
  for seq in string.gmatch(t.joined, '%d+') do
    if tonumber(seq) > seen then seqs[#seqs + 1] = tonumber(seq) end
  end
  return seqs
end

-- The entries of those numbers, as many as a turn is given at once, and the numbers that are left
-- for the next time. A message that is gone is in neither.
local function joined_entries(log, seqs)
  local entries, bytes = {}, 0
  for n, seq in ipairs(seqs) do
    local entry = call('LINDEX', log, place_after(log, seq - 1))
    if entry and find(entry, '^' .. text(seq) .. ',') then
      bytes = bytes + #entry
      if bytes > GIVEN_BYTES and #entries > 0 then return entries, {unpack(seqs, n)} end
      entries[#entries + 1] = entry
    end
  end
  return entries, {}
end

-- How many of these numbers, which grow, the messages at places from `low` to `high` have: where
-- the messages' numbers have gaps, each half is looked at.
local function count_within(log, seqs, low, high)
  if low > high then return 0 end
  local first, last, n = seq_at(log, low), seq_at(log, high), 0
  if last - first > high - low then
    local middle = math.floor((low + high) / 2)
    return count_within(log, seqs, low, middle) + count_within(log, seqs, middle + 1, high)
  end
  for _, seq in ipairs(seqs) do if seq >= first and seq <= last then n = n + 1 end end
  return n
end

-- How many messages after `seen` wait for a turn. Those that are gone do not.
local function joined_count(t, seen)
  local seqs = joined_seqs(t, seen)
  if #seqs == 0 then return 0 end
  local log = t.base .. ':session:' .. t.device .. '/' .. t.session .. '/' .. text(t.chat)
  return count_within(log, seqs, place_after(log, seqs[1] - 1), call('LLEN', log) - 1)
end
