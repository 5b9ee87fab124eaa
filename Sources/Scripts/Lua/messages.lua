-- Chats: each is a stream beside its session's record, an entry `<seq>-0` for each message.
-- KEYS: as in batch.lua
-- ARGV: none of its own
-- RETURNS: nothing

-- The number of the addressed chat, or nil if there is no such chat.
local function chat_of(s, chat)
  if chat == '' or chat == 'current' then return tonumber(s.chat) end
  local number = tonumber(chat)
  return number <= tonumber(call('HGET', s.key, 'chats')) and number or nil
end

local function log_of(s, chat) return s.key .. '/' .. chat end

local function message_json(entry)
  return '{"seq":' .. string.match(entry[1], '^%d+') .. ',"at":' .. entry[2][2] .. ',"message":'
    .. entry[2][4] .. '}'
end
