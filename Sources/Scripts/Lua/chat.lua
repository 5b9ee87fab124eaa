-- CHAT: adds a chat to a session; it is the current one.
-- USES: requests, session_changes, chat_records
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, name (JSON) or empty, configuration (JSON) or empty, token or
--   empty, request id or empty
-- RETURNS: OK, NONE, STALE, ERR
return each(6, function(base, i)
  local s, refusal = open_live(base, ARGV[i], ARGV[i + 1], ARGV[i + 4], 'CHAT')
  if not s then return refusal end
  local name = ARGV[i + 2] ~= '' and ARGV[i + 2] or 'null'
  local taken = name ~= 'null' and name_taken(s, name)
  if taken then return taken end
  local chat, full = add_chat(s, name, ARGV[i + 3] ~= '' and ARGV[i + 3] or 'null')
  if not chat then return full end
  touch(s)
  return named(chat, name), s.id .. ' ' .. chat
end, true, named_before)
