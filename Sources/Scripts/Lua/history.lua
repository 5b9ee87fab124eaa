-- HISTORY: messages of a chat, oldest first: those after a number, or the last ones.
-- USES: batch, requests, messages, session_json, session_load
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, chat or empty, sequence number to begin after or empty, how many
-- RETURNS: OK, NONE, STALE

-- So many entries are read at once: usually all, and never very much.
local STEP = 32

-- Entries from a place on, or the newest ones if there is none, as lists in their order: one entry
-- more than `limit`, unless there are no more or they are a page already. How many there are, how
-- many bytes, and whether there are more behind a page.
local function read_entries(log, place, limit)
  local lists, count, bytes = {}, 0, 0
  while count <= limit and bytes < PAGE_BYTES do
    local n = math.min(STEP, limit + 1 - count)
    local from = place and place + count or -count - n
    local list = call('LRANGE', log, from, from + n - 1)
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
  local length, is_lost = attempt('LLEN', log), 0
  if type(length) ~= 'number' then
    return {'history', 0, 0, false, is_guess, false, false, 0}, nil, 0
  end
  local oldest, newest = length > 0 and seq_at(log, 0), length > 0 and newest_seq(log)
  if after then
    -- If the latest number is corrupt in the record, the newest message's counts.
    local seen = attempt('HMGET', s.key, 'q:' .. chat, 'd:' .. chat)
    local last = whole(seen.err and '' or seen[1] or 0) or newest or 0
    if after > last then return 'STALE {"seq":' .. text(last) .. '}' end
    is_lost = after < (whole(seen[2] or 0) or 0) and 1 or 0
  end
  local lists, count, bytes, more = read_entries(log, after and place_after(log, after), limit)
  local skipped = count > limit and not after and 1 or 0
  if count > limit and after then table.remove(lists[#lists]) end
  more = (more or count > limit) and 1 or 0
  return {'history', skipped, more, lists, is_guess, oldest, newest, is_lost}, nil, bytes
end)
