-- How a session is shown: its members as they are stored, of which a worker makes the record. A
-- text costs Lua by its length, and Redis has one core for all workers.
-- USES: batch, session_index, session_users, shares, session_reads, large_sessions
-- RARELY: chats_of, chat_numbers, show, shown_shares
-- GIVES: chats_of, survey, shown, record, show, show_again

-- The chats that are read; where the record does not say it, all that there may be.
local function chats_of(line)
  return not line and {1} or chat_numbers(line) or chat_numbers(text(CHATS_MAX))
end

-- How many messages a session has; false if a chat's key is of another type. `line` are its chats
-- as its record has them.
local function messages_in(key, line)
  local length, sum = not line and attempt('LLEN', key .. '/1'), 0
  if length then return type(length) == 'number' and length end
  for _, chat in ipairs(chats_of(line)) do
    length = attempt('LLEN', key .. '/' .. text(chat))
    if type(length) ~= 'number' then return false end
    sum = sum + length
  end
  return sum
end

-- The text of a record's chats, or nil; and how many bytes its values have. Of its shares those
-- stay that are shown, to `guests` their own.
local function survey(flat, guests)
  local size, chats = 0, nil
  for n = 1, #flat, 2 do
    local value = flat[n + 1]
    if flat[n] == 'chats' then chats = value end
    if flat[n] == 'shares' then flat[n + 1] = shown_shares(value, guests) end
    size = size + #value
  end
  return chats, size
end

-- A session for the worker, in one list, as each list costs Redis: names and values of its record
-- in turn, of which there are none if the key is of another type; how many messages it has, or
-- false for keys of another type; what else the reply says, as JSON that begins with a comma;
-- session, device, and the form's number, which no text in Redis can be taken for. And what of it
-- is kept under an idempotency key, and how many bytes it has. `guests` are users that do not own
-- it.
local RECORD = -1
local function shown(device, id, key, flat, rest, messages, guests)
  if flat.err then flat = {} end
  local last, chats, size = #flat, survey(flat, guests)
  rest = rest or ''
  flat[last + 1], flat[last + 2] = messages or messages_in(key, chats), rest
  flat[last + 3], flat[last + 4], flat[last + 5] = id, device, RECORD
  return flat, id .. rest, size
end

-- The session as it is now, LARGE if it is to be read in parts; `flat` is what HGETALL gives, if it
-- is known, and `messages` how many messages it has.
local function record(s, rest, flat, messages)
  flat = flat or s.flat
  if not flat and is_large(s.key) then
    return large_line(s.device, s.id, s.scope or '', '', rest or '')
  end
  return shown(s.device, s.id, s.key, flat or attempt('HGETALL', s.key), rest, messages, s.guests)
end

-- A session that is only read: NONE, LARGE, or as `shown` gives it.
local function show(base, device, id, rest)
  local found, key, flat, guests = find_members(base, device, id)
  if not found then return 'NONE' end
  if flat then return shown(device, found, key, flat, rest, nil, guests) end
  return large_line(device, found, scope_of(id), '', rest or '')
end

-- The reply of which this was kept: the session as it is now; nil if what was kept is corrupt.
local function show_again(base, device, kept, users)
  local id, rest = string.match(kept, '^(%w+)(.*)$')
  if not id or rest ~= '' and cut(rest, 1, 1) ~= ',' then return nil end
  return show(base, device, id .. users, rest)
end
