-- How messages of a chat are found by their role, their time, or backwards from a number.
-- USES: batch, messages, entry_steps, json_members, sealed
-- GIVES: search_chat, place_since

-- So many bytes are read at most to find the messages of a role: looking through them takes Redis
-- some 4 ms.
local READ_BYTES, STEP_BYTES = 393216, 65536

-- So many entries are found at most if some of them are sealed: which of those are of the role is
-- the worker's to find.
local FOUND_MAX = 1000

-- Whether an entry is of a role, which is empty for all; and whether it is sealed, so that it may
-- be.
local function of_role(entry, role)
  if role == '' then return true end
  local json = string.match(entry, '"message":(.*)}$') or ''
  if is_sealed(json) then return false, true end
  local _, whose = member_of(json, 'role')
  return whose == role
end

-- Entries of a role from a place on, up to the end or down to the beginning: `limit` at most, and
-- with them those that are sealed, oldest first. How many bytes they have, whether there are more
-- that way, the number at which the reading ended before it had found all, and if some are sealed
-- the search for the worker, which finds `limit` among them.
local function search_chat(log, place, is_down, limit, role)
  local found, bytes, read, length, longest = {}, 0, 0, call('LLEN', log), nil
  local more, ended, sure, hides = false, nil, 0, false
  while not more and not ended and (is_down and place > 0 or not is_down and place < length) do
    local step = step_of(role == '' and PAGE_BYTES - bytes or STEP_BYTES, longest, length)
    local from = is_down and math.max(0, place - step) or place
    local to = is_down and place - 1 or place + step - 1
    local list = call('LRANGE', log, text(from), text(to))
    local _
    _, longest = bytes_of(list, longest)
    for n = 1, #list do
      local entry = list[is_down and #list + 1 - n or n]
      read = read + #entry
      place = is_down and place - 1 or place + 1
      local is_found, may_be = of_role(entry, role)
      hides = hides or may_be or false
      if is_found or may_be then
        more = is_found and sure == limit or bytes >= PAGE_BYTES or hides and #found >= FOUND_MAX
        if more and hides and sure < limit then
          ended = seq_at(log, is_down and place + 1 or place - 2)
        end
        if more then break end
        found[#found + 1], bytes, sure = entry, bytes + #entry, sure + (is_found and 1 or 0)
      elseif read >= READ_BYTES and place > 0 and place < length then
        ended = seq_at(log, is_down and place or place - 1)
        break
      end
    end
  end
  if is_down then
    for n = 1, math.floor(#found / 2) do
      found[n], found[#found + 1 - n] = found[#found + 1 - n], found[n]
    end
  end
  local search = hides and text(limit) .. (is_down and ' down ' or ' up ') .. role
  return found, bytes, more or ended ~= nil, ended, search
end

-- The place of the first message from a time on. The times of messages grow.
local function place_since(log, since)
  local low, high = 0, call('LLEN', log)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local entry = call('LINDEX', log, text(middle))
    local at = tonumber(string.match(entry, '^%d+,"at":(%d+)')) or since
    if at >= since then high = middle else low = middle + 1 end
  end
  return low
end
