-- The chats in a session's record: `chats` has their numbers; `n:<chat>`, `c:<chat>`, `b:<chat>`,
-- `q:<chat>`, `d:<chat>`, `t:<chat>`, `i:<chat>` and `o:<chat>` are described in docs/keys.md.
-- USES: batch, policies, changes, ledger, chat_address, messages, session_index, session_load
-- GIVES: name_taken, add_chat, remove_chat, named, named_before

-- Why a session cannot have a chat of this name (JSON), if another than `but` has it; or nil.
local function name_taken(s, name, but)
  local chat = chat_named(s, name)
  if chat and chat ~= but then
    return 'ERR conflict chat ' .. chat .. ' of this session has the name already: take another'
  end
end

-- Makes a chat, which is the current one unless it is to stand aside; name and configuration are
-- JSON, `null` for none; `limits` as `o:<chat>` has them, empty for none. Returns its number, or
-- nil and the reply that says why not.
local function add_chat(s, name, config, limits, is_aside)
  local most = stored_policy(s).chats
  if most == 0 then most = CHATS_MAX end
  if #s.chats >= most then
    return nil, 'ERR quota quota exceeded: ' .. #s.chats .. ' of ' .. most
      .. ' chats in this session'
  end
  local chat = s.last_chat + 1
  if chat > CHAT_NUMBER_MAX then
    return nil, 'ERR quota quota exceeded: all ' .. CHAT_NUMBER_MAX .. ' numbers of chats are used'
  end
  local is_whole = #s.chats == s.last_chat
  s.chats[#s.chats + 1] = chat
  s.last_chat, s.rev, s.flat = chat, s.rev + 1, nil
  if not is_aside then s.chat = chat end
  local line = is_whole and text(chat) or chat .. ' ' .. table.concat(s.chats, ' ')
  local writes = {}
  for letter, value in pairs({n = name, c = config, o = limits}) do
    if value ~= 'null' and value ~= '' then
      writes[#writes + 1], writes[#writes + 2] = letter .. ':' .. chat, value
    end
  end
  call('HSET', s.key, 'chats', line, 'chat', s.chat, 'rev', s.rev, 'updated', now_text,
    'b:' .. chat, now_text, unpack(writes))
  if LIVE[s.state] then count(s.base, 'more_chats', 1) end
  push(s.base, s.device, 'chat.added', s.id, chat, ',"name":%s,"current":%s,"rev":%.0f', name,
    tostring(chat == s.chat), s.rev)
  return chat
end

-- Removes a chat and its messages. Of those left the highest is the current one.
local function remove_chat(s, chat)
  local left = {}
  for _, other in ipairs(s.chats) do if other ~= chat then left[#left + 1] = other end end
  s.chats, s.chat, s.rev = left, left[#left] or 0, s.rev + 1
  call('UNLINK', log_of(s, chat), log_of(s, chat) .. '/ids')
  call('HSET', s.key, 'chats', s.last_chat .. ' ' .. table.concat(left, ' '), 'chat', s.chat,
    'rev', s.rev, 'updated', now_text)
  call('HDEL', s.key, 'n:' .. chat, 'c:' .. chat, 'b:' .. chat, 'q:' .. chat, 'd:' .. chat,
    't:' .. chat, 'i:' .. chat, 'o:' .. chat)
  if LIVE[s.state] then count(s.base, 'more_chats', -1) end
  push(s.base, s.device, 'chat.removed', s.id, chat, ',"rev":%.0f', s.rev)
end

-- The reply of a change that shows a chat's name.
local function named(chat, name) return {'named', chat, name} end

-- The session's id and the chat's number are kept under an idempotency key: a name may be long.
local function named_before(base, device, kept, users)
  local id, number = string.match(kept, '^(%w+) (%d+)$')
  if not id then return nil end
  local s = load(base, device, id .. users)
  local chat = s and chat_of(s, number)
  return chat and named(chat, call('HGET', s.key, 'n:' .. chat) or 'null') or 'NONE'
end
