-- The entries of the log as events. An event's id in the protocol is the stream's with the
-- partition's tag before it: unique in all partitions. The worker checks the values it shows.
-- USES: session_users
-- RARELY: is_of_users
-- GIVES: is_event, is_shown_to, add_event, is_wanted

-- Whether an entry has the fields of an event. One that has others was added by another program.
local function is_event(fields)
  return (#fields == 6 or #fields == 8 and fields[7] == 'u')
    and fields[1] == 't' and fields[3] == 'd' and fields[5] == 'b'
end

-- Whether an event is one that these users may see: of a lock, or of a session that is theirs. Its
-- users stand among the links that it shows, or beside it. An event of a removed session has none.
local function is_shown_to(fields, users)
  if users == '' or string.find(fields[2], '^lock%.') then return true end
  local links = string.match(fields[6], '"links":(%b{})') or ''
  local list, lines = fields[8] or string.match(links, '"user":%[(.-)%]') or '', ''
  for user in string.gmatch(list, '"([^"]+)"') do lines = lines .. 'user ' .. user .. '\n' end
  return is_of_users(users, lines)
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
