-- CHATS: the chats of a session.
-- USES: batch, session_load, messages
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty
-- RETURNS: OK, NONE
return each(2, function(base, i)
  local s = load(base, ARGV[i], ARGV[i + 1])
  if not s then return 'NONE' end
  local list = {}
  for chat = 1, s.chats do
    local seen = call('HMGET', s.key, 'n:' .. chat, 'c:' .. chat)
    local newest = call('LINDEX', log_of(s, chat), -1)
    list[chat] = string.format('{"chat":%d,"name":%s,"messages":%d,"last_at":%s,"config":',
      chat, seen[1] or 'null', call('LLEN', log_of(s, chat)), newest and time_of(newest) or 'null')
      .. (seen[2] or 'null') .. '}'
  end
  return 'OK {"chats":[' .. table.concat(list, ',') .. '],"current":' .. s.chat .. '}'
end)
