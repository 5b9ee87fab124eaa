-- CHAT: adds a chat to a session; it is the current one.
-- USES: requests, session_changes, chat_records
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, name? (JSON), config? (JSON), limits?, token?, req?
-- RETURNS: OK, NONE, STALE, ERR
return each(function(base, device, session, name, config, limits, token)
  local s, refusal = open_live(base, device, session, token, 'CHAT')
  if not s then return refusal end
  name = name ~= '' and name or 'null'
  local taken = name ~= 'null' and name_taken(s, name)
  if taken then return taken end
  local chat, full = add_chat(s, name, config ~= '' and config or 'null', limits)
  if not chat then return full end
  touch(s)
  return named(chat, name), s.id .. ' ' .. chat
end, named_before)
