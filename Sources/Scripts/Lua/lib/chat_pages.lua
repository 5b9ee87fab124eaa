-- A page of a chat's messages, and the reply that shows one.
-- USES: batch, entry_steps, turn_records
-- GIVES: read_entries, shown_page, no_list, add_draft

-- Entries from a place on, or the newest ones if there is none, in their order: one more than
-- `limit`, unless there are no more or they are a page already. How many bytes they have, and
-- whether there are more behind a page. An error if the key is of another type.
local function read_entries(log, place, limit)
  local all, bytes, longest = {}, 0, nil
  while #all <= limit and bytes < PAGE_BYTES do
    local known = #all
    local n = step_of(PAGE_BYTES - bytes, longest, limit + 1 - known)
    local from = place and place + known or -known - n
    local list = attempt('LRANGE', log, text(from), text(from + n - 1))
    if list.err then return list end
    local count, size = #list, nil
    size, longest = bytes_of(list, longest)
    bytes = bytes + size
    if known == 0 then
      all = list
    elseif place then
      for at = 1, count do all[known + at] = list[at] end
    else
      for at = 1, known do list[count + at] = all[at] end
      all = list
    end
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
local function shown_page(entries, is_list, skipped, more, is_guess, first, latest, is_lost, bytes,
    read_to, search)
  local last = #entries
  entries[last + 1], entries[last + 2], entries[last + 3] = is_list, flag(skipped), flag(more)
  entries[last + 4], entries[last + 5], entries[last + 6] = flag(is_guess), first, latest
  entries[last + 7], entries[last + 8] = flag(is_lost), read_to or false
  -- Of a draft, see below.
  entries[last + 9], entries[last + 10] = false, false
  entries[last + 11], entries[last + 12] = search or false, HISTORY
  return entries, nil, bytes
end

local function no_list(guess)
  return shown_page({}, false, nil, nil, guess, false, false, nil, 0)
end

-- Adds to a page what the running turn has written in this chat so far, and the turn's number.
-- Returns its bytes.
local function add_draft(page, base, device, id, chat)
  local draft = type(page) == 'table' and fetch(draft_key(base, device))
  if not draft then return 0 end
  local turn, place, pieces = string.match(draft, '^(%d+) (%w+ %d+)\n(.+)$')
  if place ~= id .. ' ' .. text(chat) then return 0 end
  page[#page - 3], page[#page - 2] = '[' .. pieces .. ']', turn
  return #pieces
end
