-- The parts of a session that is too large for one reply. What puts a part appends items to a reply
-- from a place on; it returns where the part goes on, empty at its end, and how many bytes it has.
-- USES: batch, entry_steps, session_json, list_filter, documents
-- GIVES: put_part

-- A part ends before it would have more bytes, unless it has one item. A document counts for more
-- than its bytes, as it is several values.
local ROOM, DOCUMENT_BYTES = 1048576, 300

local function put_fields(reply, key, from, fields)
  local names = field_names(key, fields)
  local size, at = 0, (tonumber(from) or 0) + 1
  while at <= #names do
    local value = call('HGET', key, names[at])
    if size + #value > ROOM and #reply > 4 then return text(at - 1), size end
    reply[#reply + 1], reply[#reply + 2] = cut(names[at], 3), value
    size, at = size + #value, at + 1
  end
  return '', size
end

-- `from` is the chat's place among the chats, and that of the entry.
local function put_messages(reply, key, from)
  local chats = chats_of(attempt('HGET', key, 'chats') or nil)
  local chat, place = string.match(from, '^(%d+) (%d+)$')
  chat, place = tonumber(chat or 1), tonumber(place or 0)
  if not chats[chat] then return '' end
  local log, size, longest = key .. '/' .. text(chats[chat]), 0, nil
  while size + (longest or 0) <= ROOM do
    local step = step_of(ROOM - size, longest, math.huge)
    local list = attempt('LRANGE', log, text(place), text(place + step - 1))
    if list.err then reply[4] = 1 end
    local bytes
    bytes, longest = bytes_of(list, longest)
    for n = 1, #list do reply[#reply + 1] = list[n] end
    place, size = place + #list, size + bytes
    if #list < step then return chats[chat + 1] and text(chat + 1) .. ' 0' or '', size end
  end
  return text(chat) .. ' ' .. text(place), size
end

local function put_documents(reply, key, from)
  local low, size, list = from == '' and '-' or '(' .. from .. '\1', 0, nil
  repeat
    list = attempt('ZRANGEBYLEX', key .. '/docs', low, '+', 'LIMIT', '0', '32')
    if list.err then
      reply[4] = 1
      return ''
    end
    for _, entry in ipairs(list) do
      local d, last = document_of(entry), #reply
      if not d.is_over then
        if size > ROOM then return from, size end
        local value = value_of(key, d)
        reply[last + 1], reply[last + 2], reply[last + 3] = d.name, d.rev or '', d.at or ''
        reply[last + 4], reply[last + 5] = d.ends_at or '', value
        size = size + #entry + (value and #value or 0) + DOCUMENT_BYTES
      end
      low, from = '(' .. entry, d.name
    end
  until #list < 32
  return '', size
end

local put_part = {fields = put_fields, messages = put_messages, documents = put_documents}
