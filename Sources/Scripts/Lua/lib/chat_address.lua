-- Which chat of a session is addressed: by its number or its name, or the current one.
-- USES: batch
-- RARELY: chat_named
-- GIVES: is_current_chat, chat_named, chat_of

-- Whether the current chat is addressed.
local function is_current_chat(chat) return chat == '' or chat == 'current' end

-- The number of the chat with a name (JSON), or nil.
local function chat_named(s, name)
  local names = {}
  for n, chat in ipairs(s.chats) do names[n] = 'n:' .. text(chat) end
  local seen = #names > 0 and attempt('HMGET', s.key, unpack(names)) or {}
  for n, chat in ipairs(s.chats) do if seen[n] == name then return chat end end
end

-- The number of the addressed chat, or nil if there is no such chat: there is no current one if its
-- number is 0, `@` stands before a name.
local function chat_of(s, chat)
  if is_current_chat(chat) then return s.chat > 0 and s.chat or nil end
  if cut(chat, 1, 1) == '@' then return chat_named(s, cut(chat, 2)) end
  local number = tonumber(chat)
  for _, other in ipairs(s.chats) do if other == number then return number end end
  return nil
end
