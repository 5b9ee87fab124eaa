-- HISTORY: messages of a chat, oldest first: those after a number, or the last ones.
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, chat or empty, sequence number to begin after or empty, how many
-- RETURNS: OK, NONE
return each(5, function(base, i)
  local s = load(base, ARGV[i], ARGV[i + 1])
  local chat = s and chat_of(s, ARGV[i + 2])
  if not chat then return 'NONE' end
  local after, limit, log = ARGV[i + 3], tonumber(ARGV[i + 4]), log_of(s, chat)
  local found, lines = {}, {}
  if after ~= '' then
    found = call('XRANGE', log, '(' .. after .. '-0', '+', 'COUNT', limit + 1)
  else
    local newest = call('XREVRANGE', log, '+', '-', 'COUNT', limit + 1)
    for n = #newest, 1, -1 do found[#found + 1] = newest[n] end
  end
  local more = #found > limit
  if more then table.remove(found, after ~= '' and #found or 1) end
  for n, entry in ipairs(found) do lines[n] = message_json(entry) end
  return 'OK {"messages":[' .. table.concat(lines, ',') .. '],"more":' .. tostring(more) .. '}'
end)
