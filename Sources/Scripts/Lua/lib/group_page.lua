-- A page of a group's events on its way: the reply of `read_group`.
-- USES: batch, event_entries
-- GIVES: begin_page, add_loss, has_losses, end_at_loss, add_corrupt, add_blocked, add_again,
--   add_looked, add_pending, add_done, leave_to_others, is_full, room, add_entry

-- A page is to fit into what the kernel takes of one reply. A call looks at so many entries, at so
-- many at once, and at no more than have room if each has a note.
local GROUP_PAGE_BYTES, LOOKED_MAX, STEP_MAX, ENTRY_BYTES = 1048576, 1000, 16, 65536

local limit, wanted, found, looked, bytes, page, reply, has_passed

-- The reply: the page, which is `events`, how many entries were no events, 1 if the group has lost
-- events else 0, and of each event its id, type, device and other members; the partitions where
-- another worker has to go on first, the ms until one may be delivered again or -1, the partitions
-- with losses and those that are corrupt, how many were read to their ends, and 1 if all partitions
-- have to be read because of a loss else 0; then the id of each event and its age in ms, -1 if it
-- was given before or the age is unknown. Partitions are places in the keys, from 0 on.
local function begin_page(most, types)
  limit, wanted, found, looked, bytes, page = most, types, 0, 0, 0, {'events', 0, 0}
  reply, has_passed = {page, {}, -1, {}, {}, 0, 0}, false
  return reply
end

local function add_to(list, item) list[#list + 1] = item - 1 end

local function add_loss(item)
  page[3] = 1
  add_to(reply[4], item)
end

local function has_losses() return #reply[4] > 0 end

local function end_at_loss()
  reply[7] = 1
  return reply
end

local function add_corrupt(item) add_to(reply[5], item) end

local function add_blocked(item) add_to(reply[2], item) end

-- Some may be delivered again after so many ms; with -1 there are none.
local function add_again(ms)
  if ms >= 0 and (reply[3] < 0 or ms < reply[3]) then reply[3] = ms end
end

-- All up to this one were read to their ends.
local function add_looked(item) reply[6] = item end

-- So many pending entries of a group were gone through to find those that are overdue; they cost
-- as much as an entry that is looked at.
local PENDING_PER_ENTRY = 8
local function add_pending(consumers)
  for _, consumer in ipairs(consumers) do
    looked = looked + math.floor(consumer[4] / PENDING_PER_ENTRY)
  end
end

-- So many entries were acknowledged at once, which costs as much as to look at them.
local function add_done(count) looked = looked + count end

-- So many of the entries that were looked at stay as they are. Where they are all that a call looks
-- at they do not count, of one partition: each call would look at them again, and at nothing else.
local function leave_to_others(count)
  if count == 0 or has_passed or looked < LOOKED_MAX then return end
  looked, has_passed = looked - count, true
end

local function is_full()
  return found >= limit or bytes >= GROUP_PAGE_BYTES or looked >= LOOKED_MAX
end

-- How many entries may be read at once now.
local function room()
  local fitting = math.floor((GROUP_PAGE_BYTES - bytes) / ENTRY_BYTES)
  return math.max(1, math.min(STEP_MAX, limit - found, LOOKED_MAX - looked, fitting))
end

-- The age of an event in ms, or -1 if its members do not say it.
local function age(members)
  local at = tonumber(string.match(members, '^"at":(%d+)'))
  return at and math.max(0, now_ms - at) or -1
end

-- Adds an entry's event to the page; false if its type is not wanted, nil if it is no event.
local function add_entry(base, entry, is_late)
  local fields = entry[2]
  looked = looked + 1
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
