-- HISTORY: messages of a chat, oldest first: those after a number, or the last ones.
-- USES: batch, requests, messages, session_json, session_load
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, chat or empty, sequence number to begin after or empty, how many
-- RETURNS: OK, NONE, STALE

-- So many entries are read at once: usually all, and never very much.
local STEP = 32

-- Entries from a place on, or the newest ones if there is none, as lists in their order: one entry
-- more than `limit`, unless there are no more or they are a page already. How many there are, how
-- many bytes, and whether there are more behind a page. Nil if the key is no list.
local function read_entries(log, place, limit)
  local lists, count, bytes = {}, 0, 0
  while count <= limit and bytes < PAGE_BYTES do
    local n = math.min(STEP, limit + 1 - count)
    local from = place and place + count or -count - n
    local list = attempt('LRANGE', log, from, from + n - 1)
    if list.err then return nil end
    table.insert(lists, place and #lists + 1 or 1, list)
    count, bytes = count + #list, bytes + bytes_of(list)
    if #list < n then break end
  end
  local more = bytes >= PAGE_BYTES and call('LLEN', log) > (place or 0) + count
  return lists, count, bytes, more
end

return each(5, function(base, i)
  local s, refusal = for_chat(base, ARGV[i], ARGV[i + 1])
  if not s then return refusal end
  local chat = chat_of(s, ARGV[i + 2])
  if not chat then return 'NONE' end
  local after, limit, log = tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]), log_of(s, chat)
  local is_guess = chat == s.chat and s.is_guess and 1 or 0
  local is_list = not after or type(attempt('LLEN', log)) == 'number'
  if is_list and after then
    -- If the latest number is corrupt in the record, the newest message's counts.
    local last = whole(call('HGET', s.key, 'q:' .. chat) or 0) or newest_seq(log)
    if after > last then return 'STALE {"seq":' .. text(last) .. '}' end
  end
  local lists, count, bytes, more
  if is_list then
    lists, count, bytes, more = read_entries(log, after and place_after(log, after), limit)
  end
  if not lists then return {'history', 0, 0, false, is_guess}, nil, 0 end
  if count <= limit then return {'history', 0, more and 1 or 0, lists, is_guess}, nil, bytes end
  if not after then return {'history', 1, 1, lists, is_guess}, nil, bytes end
  table.remove(lists[#lists])
  return {'history', 0, 1, lists, is_guess}, nil, bytes
end)
