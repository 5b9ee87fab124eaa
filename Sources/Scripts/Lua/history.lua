-- HISTORY: messages of a chat, oldest first: those after a number, or the last ones.
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, chat or empty, sequence number to begin after or empty, how many
-- RETURNS: OK, NONE
return each(5, function(base, i)
  local id, key = find_session(base, ARGV[i], ARGV[i + 1])
  local seen = id and call('HMGET', key, 'state', 'chat', 'chats')
  if not seen or not seen[1] then return 'NONE' end
  local s = {key = key, chat = tonumber(seen[2] or 1), chats = tonumber(seen[3] or 1)}
  local chat = chat_of(s, ARGV[i + 2])
  if not chat then return 'NONE' end
  local after, limit, log = tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]), log_of(s, chat)
  local found, more, first = nil, false, 1
  -- One more than is asked for tells whether there are more.
  if after then
    local place = place_after(log, after)
    found = call('LRANGE', log, place, place + limit)
    more = #found > limit
    if more then found[#found] = nil end
  else
    found = call('LRANGE', log, -limit - 1, -1)
    more = #found > limit
    if more then first = 2 end
  end
  return messages_json('OK {"messages":[', found, first, '],"more":' .. tostring(more) .. '}')
end)
