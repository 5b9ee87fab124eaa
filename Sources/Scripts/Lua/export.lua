-- EXPORT: a whole session, as it is stored. It stops where it would grow too long, so that a large
-- session does not hold Redis up.
-- USES: batch, requests, session_json, messages
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, bytes_max
-- RETURNS: OK, NONE, ERR

-- The entries of a chat, list by list, and how many bytes they are; nil where there is no room for
-- them, and false in place of the lists where the key is no list.
local function all_messages(log, room)
  local lists, size = {}, 0
  while true do
    local list = attempt('LRANGE', log, 32 * #lists, 32 * #lists + 31)
    if list.err then return false, 0 end
    if #list == 0 then return lists, size end
    size = size + bytes_of(list)
    if size > room then return nil, size end
    lists[#lists + 1] = list
  end
end

return each(function(base, device, session, bytes_max)
  local id, key, flat = find_members(base, device, session)
  if not id then return 'NONE' end
  local line, size = survey(flat)
  local chats = {}
  for n, chat in ipairs(chats_of(line)) do
    local lists, grown = all_messages(key .. '/' .. chat, bytes_max - size)
    if lists == nil then
      return 'ERR too_large the session has more than ' .. bytes_max .. ' bytes'
    end
    size, chats[n] = size + grown, lists
  end
  return {'export', device, id, not flat.err and flat, chats, tonumber(bytes_max)}, nil, size
end)
