-- HISTORY: messages of a chat, oldest first: those after a number, or the last ones.
-- USES: batch, session_load, messages
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, chat or empty, sequence number to begin after or empty, how many
-- RETURNS: OK, NONE

-- So many entries are read at once: usually all, and never very much.
local STEP = 32

local function joined(chunks, is_backward)
  if #chunks < 2 then return chunks[1] or {} end
  local entries = {}
  for n = 1, #chunks do
    for _, entry in ipairs(chunks[is_backward and #chunks + 1 - n or n]) do
      entries[#entries + 1] = entry
    end
  end
  return entries
end

-- The entries from a place on, or the newest ones if there is none: one more than `limit`, unless
-- there are no more or they are a page already. And whether there are more behind a page.
local function read_entries(log, place, limit)
  local chunks, count, bytes = {}, 0, 0
  while count <= limit and bytes < PAGE_BYTES do
    local n = math.min(STEP, limit + 1 - count)
    local from = place and place + count or -count - n
    local chunk = call('LRANGE', log, from, from + n - 1)
    chunks[#chunks + 1] = chunk
    count = count + #chunk
    if #chunk < n then break end
    if count <= limit then bytes = bytes + bytes_of(chunk) end
  end
  local more = bytes >= PAGE_BYTES and call('LLEN', log) > (place or 0) + count
  return joined(chunks, not place), more
end

return each(5, function(base, i)
  local id, key = find_session(base, ARGV[i], ARGV[i + 1])
  local seen = id and call('HMGET', key, 'state', 'clocks', 'chat', 'chats')
  if not seen or not is_there(seen[1], seen[2]) then return 'NONE' end
  local s = {key = key, chat = tonumber(seen[3] or 1), chats = tonumber(seen[4] or 1)}
  local chat = chat_of(s, ARGV[i + 2])
  if not chat then return 'NONE' end
  local after, limit, log = tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]), log_of(s, chat)
  local found, more = read_entries(log, after and place_after(log, after), limit)
  local first = 1
  if #found > limit then
    more = true
    if after then found[#found] = nil else first = 2 end
  end
  return messages_json('OK {"messages":[', found, first, '],"more":' .. tostring(more) .. '}')
end)
