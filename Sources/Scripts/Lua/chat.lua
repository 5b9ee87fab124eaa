-- CHAT: adds a chat to a session; it is the current one.
-- USES: batch, requests, session_load, session_changes
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, name (JSON) or empty, configuration (JSON) or empty, token or
--   empty, request id or empty
-- RETURNS: OK, NONE, STALE, ERR

local function added(chat, name) return 'OK {"chat":' .. chat .. ',"name":' .. name .. '}' end

-- What is kept under an idempotency key is the session's id and the chat's number: a name may be
-- long.
local function added_before(base, device, kept)
  local id, chat = string.match(kept, '^(%w+) (%d+)$')
  local s = load(base, device, id)
  local name = s and call('HGET', s.key, 'n:' .. chat)
  return name and added(chat, name) or 'NONE'
end

return each(6, function(base, i)
  local s, refusal = open_live(base, ARGV[i], ARGV[i + 1], ARGV[i + 4], 'CHAT')
  if not s then return refusal end
  local chat = s.chats + 1
  if chat > CHATS_MAX then return 'ERR quota a session may have ' .. CHATS_MAX .. ' chats' end
  local name = ARGV[i + 2] ~= '' and ARGV[i + 2] or 'null'
  local config = ARGV[i + 3] ~= '' and ARGV[i + 3] or 'null'
  s.rev = s.rev + 1
  call('HSET', s.key, 'chats', chat, 'chat', chat, 'rev', s.rev, 'n:' .. chat, name,
    'c:' .. chat, config)
  touch(s)
  return added(chat, name), s.id .. ' ' .. chat
end, true, added_before)
