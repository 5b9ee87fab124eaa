-- CHATS: the chats of a session.
-- USES: batch, requests, messages, session_json
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty
-- RETURNS: OK, NONE
return each(2, function(base, i)
  local s, refusal = for_chat(base, ARGV[i], ARGV[i + 1])
  if not s then return refusal end
  local list, size = {}, 0
  for chat = 1, s.chats do
    local seen = attempt('HMGET', s.key, 'n:' .. chat, 'c:' .. chat)
    local length = attempt('LLEN', log_of(s, chat))
    local is_list = type(length) == 'number'
    local newest = is_list and call('LINDEX', log_of(s, chat), -1)
    -- Its number and time are all that is shown.
    newest = newest and cut(newest, 1, 64)
    if seen.err then seen = {-1, -1} end
    list[chat] = {chat, seen[1], seen[2], is_list and length, newest}
    size = size + #tostring(seen[1]) + #tostring(seen[2])
  end
  return {'chats', s.current, list}, nil, size
end)
