-- A page of a group's events on its way: the reply of `read_group`.
-- USES: batch, event_entries
-- GIVES: begin_page, add_loss, add_corrupt, add_blocked, add_again, is_full, room, add_entry

-- A page is to fit into what the kernel takes of one reply.
local GROUP_PAGE_BYTES = 1048576

local limit, wanted, found, bytes, page, reply

-- The reply: the page, 1 if some had to wait, the ms until one may be delivered again, the
-- partitions of which the group has lost events, those whose log is corrupt; then the id and the
-- age of each event.
local function begin_page(most, types)
  limit, wanted, found, bytes, page = most, types, 0, 0, {'events', 0, 0}
  reply = {page, 0, -1, {}, {}}
  return reply
end

local function add_loss(item)
  page[3] = 1
  reply[4][#reply[4] + 1] = item
end

local function add_corrupt(item) reply[5][#reply[5] + 1] = item end

local function add_blocked() reply[2] = 1 end

-- Some may be delivered again after so many ms; with -1 there are none.
local function add_again(ms)
  if ms >= 0 and (reply[3] < 0 or ms < reply[3]) then reply[3] = ms end
end

local function is_full() return found >= limit or bytes >= GROUP_PAGE_BYTES end

-- How many events more there may be.
local function room() return limit - found end

-- The age of an event in ms, or -1 if its members do not say it.
local function age(members)
  local at = tonumber(string.match(members, '^"at":(%d+)'))
  return at and math.max(0, now_ms - at) or -1
end

-- Adds an entry's event to the page; false if its type is not wanted, nil if it is no event.
local function add_entry(base, entry, is_late)
  local fields = entry[2]
  if not is_event(fields) then
    page[2] = page[2] + 1
    return nil
  end
  if not is_wanted(fields[2], wanted) then return false end
  local id, size = add_event(page, base, entry[1], fields)
  found, bytes = found + 1, bytes + size
  reply[#reply + 1] = id
  reply[#reply + 1] = is_late and -1 or age(fields[6])
  return true
end
