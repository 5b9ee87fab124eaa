-- How messages of a chat are found by their role, their time, or backwards from a number.
-- USES: batch, messages, entry_steps, json_members
-- GIVES: search_chat, place_since

-- So many bytes are read at most to find the messages of a role: looking through them takes Redis
-- some 5 ms.
local READ_BYTES, STEP_BYTES = 524288, 65536

-- The entry if it is of a role, which is empty for all.
local function of_role(entry, role)
  if role == '' then return true end
  local json = string.match(entry, '"message":(.*)}$')
  local _, whose = member_of(json or '', 'role')
  return whose == role
end

-- Entries of a role from a place on, up to the end or down to the beginning: `limit` at most,
-- oldest first. How many bytes they have, whether there are more that way, and the number at which
-- the reading ended before it had found all.
local function search_chat(log, place, is_down, limit, role)
  local found, bytes, read, length, longest = {}, 0, 0, call('LLEN', log), nil
  local more, ended = false, nil
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
      if of_role(entry, role) then
        more = #found == limit or bytes >= PAGE_BYTES
        if more then break end
        found[#found + 1], bytes = entry, bytes + #entry
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
  return found, bytes, more or ended ~= nil, ended
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
