-- Chats: each is a stream beside its session's record, an entry `<seq>-0` for each message.
-- KEYS: as in batch.lua
-- ARGV: none of its own
-- RETURNS: nothing

-- The number of the addressed chat, or nil if there is no such chat.
local function chat_of(s, chat)
  if chat == '' or chat == 'current' then return s.chat end
  local number = tonumber(chat)
  return number <= s.chats and number or nil
end

local function log_of(s, chat) return s.key .. '/' .. chat end

local function message_json(entry)
  return '{"seq":' .. string.match(entry[1], '^%d+') .. ',"at":' .. entry[2][2] .. ',"message":'
    .. entry[2][4] .. '}'
end

-- Keeps the time from a user's message to the next message of somebody else. `whose` is `user`,
-- `other`, or empty where the message does not say.
local function time_answer(s, chat, whose)
  if whose == 'user' then
    call('HSET', s.key, 't:' .. chat, now_text)
  elseif whose == 'other' then
    local asked = call('HGET', s.key, 't:' .. chat)
    if not asked then return end
    call('HDEL', s.key, 't:' .. chat)
    call('HINCRBY', s.key, 'answers', 1)
    call('HINCRBY', s.key, 'answer_ms', math.max(0, now_ms - asked))
  end
end
