-- The entries of the log as events. An event's id in the protocol is the stream's with the
-- partition's tag before it: unique in all partitions. The worker checks the values it shows.
-- USES: nothing
-- GIVES: is_event, add_event, is_wanted

-- Whether an entry has the fields of an event. One that has others was added by another program.
local function is_event(fields)
  return #fields == 6 and fields[1] == 't' and fields[3] == 'd' and fields[5] == 'b'
end

-- Adds an event to a page: its id, type, device and other members. Returns the id, and about how
-- many bytes its JSON has.
local function add_event(page, base, id, fields)
  local name, last = string.match(base, '{(%x+)}$') .. '-' .. id, #page
  page[last + 1], page[last + 2], page[last + 3], page[last + 4] =
    name, fields[2], fields[4], fields[6]
  return name, #fields[2] + #fields[4] + #fields[6] + 64
end

local function is_wanted(kind, wanted)
  return wanted == '' or string.find(',' .. wanted .. ',', ',' .. kind .. ',', 1, true)
end
