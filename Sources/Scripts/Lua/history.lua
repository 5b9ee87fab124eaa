-- HISTORY: messages of a chat, oldest first: those after the number `after`, or the last ones;
-- `limit` at most.
-- USES: batch, requests, messages, chat_json, session_load
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat?, after?, limit
-- RETURNS: OK, NONE, STALE

-- So many entries are read at once: usually all, and never very much.
local STEP = 32

-- Entries from a place on, or the newest ones if there is none, in their order: one more than
-- `limit`, unless there are no more or they are a page already. How many bytes they have, and
-- whether there are more behind a page. An error if the key is of another type.
local function read_entries(log, place, limit)
  local all, bytes = {}, 0
  while #all <= limit and bytes < PAGE_BYTES do
    local n = math.min(STEP, limit + 1 - #all)
    local from = place and place + #all or -#all - n
    local list = attempt('LRANGE', log, text(from), text(from + n - 1))
    if list.err then return list end
    local count = #list
    bytes = bytes + bytes_of(list)
    local before, behind = all, list
    if not place then before, behind = list, all end
    for at = 1, #behind do before[#before + 1] = behind[at] end
    all = before
    if count < n then break end
  end
  local more = bytes >= PAGE_BYTES and call('LLEN', log) > (place or 0) + #all
  return all, bytes, more
end

-- The reply: in one list, as each list costs Redis, the entries, none if the chat's key is of
-- another type; what is not in them; and the form's number, which no text in Redis can be taken
-- for. `first` is the number of the oldest message, `latest` of the newest; false if there is none.
local HISTORY = -2
local function flag(is_so) return is_so and 1 or 0 end
local function page(entries, is_list, skipped, more, is_guess, first, latest, is_lost, bytes)
  local last = #entries
  entries[last + 1], entries[last + 2], entries[last + 3] = is_list, flag(skipped), flag(more)
  entries[last + 4], entries[last + 5], entries[last + 6] = flag(is_guess), first, latest
  entries[last + 7], entries[last + 8] = flag(is_lost), HISTORY
  return entries, nil, bytes
end

local function no_list(guess) return page({}, false, nil, nil, guess, false, false, nil, 0) end

-- The messages behind a number.
local function behind(s, chat, log, after, limit, is_guess)
  local length = attempt('LLEN', log)
  if type(length) ~= 'number' then return no_list(is_guess) end
  local first, latest = length > 0 and seq_at(log, 0), length > 0 and seq_at(log, length - 1)
  -- If the latest number is corrupt in the record, the newest message's counts.
  local seen = attempt('HMGET', s.key, 'q:' .. text(chat), 'd:' .. text(chat))
  local last = whole(seen.err and '' or seen[1] or 0) or latest or 0
  if after > last then return 'STALE {"seq":' .. text(last) .. '}' end
  local is_lost = after < (whole(seen[2] or 0) or 0)
  local entries, bytes, more = read_entries(log, place_after(log, after), limit)
  if #entries > limit then more, entries[#entries] = true, nil end
  return page(entries, 1, false, more, is_guess, first, latest, is_lost, bytes)
end

return each(function(base, device, session, chat, after, limit)
  local s, refusal = for_chat(base, device, session)
  if not s then return refusal end
  chat = chat_of(s, chat)
  if not chat then return 'NONE' end
  after, limit = tonumber(after), tonumber(limit)
  local log, is_guess = log_of(s, chat), chat == s.chat and s.is_guess
  if after then return behind(s, chat, log, after, limit, is_guess) end
  local entries, bytes, more = read_entries(log, nil, limit)
  if entries.err then return no_list(is_guess) end
  local count = #entries
  local skipped, first, latest = count > limit, false, false
  more = more or skipped
  -- What the entries show is not read again.
  if count > 0 then
    first = not more and seq_of(entries[1]) or seq_at(log, 0)
    latest = seq_of(entries[count]) or newest_seq(log)
  end
  return page(entries, 1, skipped, more, is_guess, first, latest, false, bytes)
end)
