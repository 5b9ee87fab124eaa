-- How a session is shown: its members as they are stored, of which a worker makes the record. A
-- text costs Lua by its length, and Redis has one core for all workers.
-- USES: batch, session_index, session_find
-- GIVES: chats_of, shown, record, show, show_again, for_chat, chat_row

-- A whole number from 1 to `most`; nil if the text is none.
local function number_within(line, most)
  local number = tonumber(line)
  return number and number >= 1 and number <= most and number % 1 == 0 and number or nil
end

-- The chats that are read; where the record does not say it, all that there may be.
local function chats_of(line)
  return not line and {1} or chat_numbers(line) or chat_numbers(text(CHATS_MAX))
end

-- A session for the worker: names and values of its record in turn, how many messages each chat
-- has, and what else the reply says, as JSON that begins with a comma; false for keys of another
-- type. And what of it is kept under a request id, and how many bytes it has.
local function shown(device, id, key, flat, rest)
  local size, chats, lengths = 0, nil, {}
  for n = 1, #flat, 2 do
    local value = flat[n + 1]
    if flat[n] == 'chats' then chats = value end
    size = size + #value
  end
  for n, chat in ipairs(chats_of(chats)) do
    local length = attempt('LLEN', key .. '/' .. chat)
    lengths[n] = type(length) == 'number' and length
  end
  rest = rest or ''
  return {'record', device, id, not flat.err and flat, lengths, rest}, id .. rest, size
end

-- The session as it is now; `flat` is what HGETALL gives, unless it is to be read.
local function record(s, rest, flat)
  return shown(s.device, s.id, s.key, flat or attempt('HGETALL', s.key), rest)
end

-- A session that is only read: NONE, or as `shown` gives it.
local function show(base, device, id, rest)
  local found, key = find_session(base, device, id)
  local flat = found and attempt('HGETALL', key)
  if flat and (flat.err or #flat > 0) then return shown(device, found, key, flat, rest) end
  local other = find_other(base, device, id, found)
  if other then return show(base, device, other, rest) end
  return 'NONE'
end

-- The reply of which this was kept: the session as it is now; nil if what was kept is corrupt.
local function show_again(base, device, kept)
  local id, rest = string.match(kept, '^(%w+)(.*)$')
  if not id or rest ~= '' and cut(rest, 1, 1) ~= ',' then return nil end
  return show(base, device, id, rest)
end

-- The part of a session that decides which chat is read, whatever else of it is corrupt; or nil and
-- NONE.
local function for_chat(base, device, id)
  local found, key = find_session(base, device, id)
  local seen = found and attempt('HMGET', key, 'state', 'chat', 'chats', 'created')
  if not seen or not seen[1] and call('EXISTS', key) == 0 then
    local other = find_other(base, device, id, found)
    if other then return for_chat(base, device, other) end
    return nil, 'NONE'
  end
  local chats, current = chats_of(seen[3]), seen.err and '' or seen[2] or '1'
  local chat = current == '0' and 0 or number_within(current, CHAT_NUMBER_MAX)
  return {device = device, id = found, key = key, chats = chats, current = current,
    chat = chat or 1, is_guess = not chat, created = seen[4]}
end

-- A chat for the worker: its number, name, configuration, how many messages it has, the beginning
-- of the newest one's entry, and when it was made: with its session, if it does not say.
local function chat_row(s, chat)
  local seen = attempt('HMGET', s.key, 'n:' .. chat, 'c:' .. chat, 'b:' .. chat)
  local length = attempt('LLEN', s.key .. '/' .. chat)
  local is_list = type(length) == 'number'
  local newest = is_list and call('LINDEX', s.key .. '/' .. chat, -1)
  -- Its number and time are all that is shown.
  newest = newest and cut(newest, 1, 64)
  if seen.err then seen = {-1, -1} end
  return {chat, seen[1], seen[2], is_list and length, newest, seen[3] or s.created or false},
    #tostring(seen[1]) + #tostring(seen[2])
end
