-- EXPORT: a whole session, as it is stored. It stops where it would grow too long, so that a large
-- session does not hold Redis up.
-- USES: batch, requests, session_json, messages, documents
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
        size = size + #entry + (value and #value or 0)
        if size > room then return nil, size end
      end
      low = '(' .. entry
    end
  until #list < 32
  return found, size
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
  local documents, grown = all_documents(key, bytes_max - size)
  if documents == nil then
    return 'ERR too_large the session has more than ' .. bytes_max .. ' bytes'
  end
  return {'export', device, id, not flat.err and flat, chats, documents, tonumber(bytes_max)}, nil,
    size + grown
end)
