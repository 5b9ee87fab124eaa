-- EXPORT: a whole session, as it is stored. It stops where it would grow too long, so that a large
-- session does not hold Redis up: MORE says which session is to be read in parts.
-- USES: batch, requests, session_reads, session_json, entry_steps, documents
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, bytes_max, shows_sealed?
-- RETURNS: OK, NONE, ERR, MORE

-- The entries of a chat, list by list, and how many bytes they are; nil where there is no room for
-- them, and false in place of the lists where the key is no list.
local function all_messages(log, room)
  local lists, size, place, longest = {}, 0, 0, nil
  while true do
    local step = step_of(room - size, longest, math.huge)
    local list = attempt('LRANGE', log, text(place), text(place + step - 1))
    if list.err then return false, 0 end
    if #list == 0 then return lists, size end
    local bytes
    bytes, longest = bytes_of(list, longest)
    size, place = size + bytes, place + #list
    if size > room then return nil, size end
    lists[#lists + 1] = list
  end
end

-- A document counts for more than its bytes, as it is several values.
local DOCUMENT_BYTES = 300

-- The documents, five values each, and how many bytes they are; nil where there is no room for
-- them, and false where the key is of another type.
local function all_documents(key, room)
  local found, size, low, list = {}, 0, '-', nil
  repeat
    list = attempt('ZRANGEBYLEX', key .. '/docs', low, '+', 'LIMIT', '0', '32')
    if list.err then return false, 0 end
    for _, entry in ipairs(list) do
      local d, last = document_of(entry), #found
      if not d.is_over then
        local value = value_of(key, d)
        found[last + 1], found[last + 2], found[last + 3] = d.name, d.rev or '', d.at or ''
        found[last + 4], found[last + 5] = d.ends_at or '', value
        size = size + #entry + (value and #value or 0) + DOCUMENT_BYTES
        if size > room then return nil, size end
      end
      low = '(' .. entry
    end
  until #list < 32
  return found, size
end

-- A larger one is read in parts.
local EXPORT_BYTES = 1048576

-- The end of a session that has no room.
local function too_large(id, bytes_max)
  if bytes_max > EXPORT_BYTES then return 'MORE ' .. id end
  return 'ERR too_large the session has more than ' .. text(bytes_max) .. ' bytes'
end

return each(function(base, device, session, bytes_max, shows_sealed)
  bytes_max = tonumber(bytes_max)
  local room = math.min(bytes_max, EXPORT_BYTES)
  local id, key, flat, guests = find_members(base, device, session)
  if not id then return 'NONE' end
  if not flat then return 'MORE ' .. id end
  local line, size = survey(flat, guests)
  if size > room then return too_large(id, bytes_max) end
  local chats = {}
  for n, chat in ipairs(chats_of(line)) do
    local lists, grown = all_messages(key .. '/' .. chat, room - size)
    if lists == nil then return too_large(id, bytes_max) end
    size, chats[n] = size + grown, lists
  end
  local documents, grown = all_documents(key, room - size)
  if documents == nil then return too_large(id, bytes_max) end
  return {'export', device, id, not flat.err and flat, chats, documents, bytes_max, shows_sealed},
    nil, size + grown
end)
