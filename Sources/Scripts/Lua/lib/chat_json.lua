-- How a session's chats are read, and shown: the parts of their keys as they are stored.
-- USES: batch, session_index, session_find, session_json
-- RARELY: find_other
-- GIVES: for_chat, chat_row

-- A whole number from 1 to `most`; nil if the text is none.
local function number_within(line, most)
  local number = tonumber(line)
  return number and number >= 1 and number <= most and number % 1 == 0 and number or nil
end

-- The part of a session that decides which chat is read, whatever else of it is corrupt; or nil and
-- NONE.
local function for_chat(base, device, id, is_again)
  local found, key, users, guests, ends_at, is_likely = find_session(base, device, id, not is_again)
  local seen = found and attempt('HMGET', key, 'state', 'chat', 'chats', 'created', 'links')
  if is_likely and not is_confirmed(id, users, seen[1], seen[5]) then
    return for_chat(base, device, id, true)
  end
  if not seen or not seen[1] and call('EXISTS', key) == 0 then
    local other = find_other(base, device, id, found)
    if other then return for_chat(base, device, other) end
    return nil, 'NONE'
  end
  local chats, current = chats_of(seen[3]), seen.err and '' or seen[2] or '1'
  local chat = current == '0' and 0 or number_within(current, CHAT_NUMBER_MAX)
  return {device = device, id = found, key = key, chats = chats, current = current,
    chat = chat or 1, is_guess = not chat, created = seen[4],
    guests = guests, ends_at = ends_at or 0}
end

-- A chat for the worker: its number, name, configuration, how many messages it has, the beginning
-- of the newest one's entry, and when it was made: with its session, if it does not say.
local function chat_row(s, chat)
  local name = text(chat)
  local seen = attempt('HMGET', s.key, 'n:' .. name, 'c:' .. name, 'b:' .. name)
  local length = attempt('LLEN', s.key .. '/' .. name)
  local is_list = type(length) == 'number'
  local newest = is_list and call('LINDEX', s.key .. '/' .. name, '-1')
  -- Its number and time are all that is shown.
  newest = newest and cut(newest, 1, 64)
  if seen.err then seen = {-1, -1} end
  return {chat, seen[1], seen[2], is_list and length, newest, seen[3] or s.created or false},
    #tostring(seen[1]) + #tostring(seen[2])
end
