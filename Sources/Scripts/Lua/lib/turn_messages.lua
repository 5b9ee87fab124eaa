-- The messages that a turn is given: the newest of its chat, or those that were joined to it.
-- USES: batch, chat_pages, messages
-- GIVES: read_newest, newest_of, newest_entries, joined_seqs, joined_entries, joined_count

-- A turn is given no more bytes of messages at once, but one message at least.
local GIVEN_BYTES = 1048576

-- The newest entries of a chat, one more than `limit` if there are as many, and one at least; and
-- their bytes.
local function read_newest(log, limit)
  local entries, bytes = read_entries(log, nil, math.max(limit, 0))
  if entries.err then error(entries, 0) end
  return entries, bytes
end

-- What a turn is given of a chat: of its newest entries, which have so many bytes, and those that
-- were said behind them since, the newest `limit`. `length` is how many messages the chat has then,
-- as it may have dropped some; without it, there is one entry more than `limit` if the chat has as
-- many. Returns them oldest first, whether there are older ones, and their bytes.
local function newest_of(entries, bytes, said, limit, length)
  local count = #entries
  for n = 1, #said do entries[count + n], bytes = said[n], bytes + #said[n] end
  count = count + #said
  length = length or count
  local most, first = math.min(limit, length, count), 1
  while count - first + 1 > most or bytes > GIVEN_BYTES and first < count do
    first, bytes = first + 1, bytes - #entries[first]
  end
  if first > 1 then
    for n = 1, count do entries[n] = entries[n + first - 1] end
  end
  return entries, length > count - first + 1, bytes
end

-- The same where nothing was said.
local function newest_entries(log, limit)
  local entries, bytes = read_newest(log, limit)
  return newest_of(entries, bytes, {}, limit)
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
