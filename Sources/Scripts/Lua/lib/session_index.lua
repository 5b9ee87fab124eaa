-- The common parts of the scripts of sessions: their states, records and indexes. A session is a
-- hash: `state`, `rev`, `clocks` (idle abandon archive life keep warn, in ms, 0 is off), times,
-- `f:<member>` (`<rev> <JSON>`) for each of its fields, `c:<n>` for each chat. Members that are as
-- in most sessions are left out, which saves a quarter of a small one.
-- USES: batch
-- GIVES: LIVE, KEPT, CHATS_READ_MAX, CHAT_NUMBER_MAX, corrupt, is_corrupt, ids_of, chat_numbers,
--   keys_of, idle_at, abandon_at, life_at, keep_until
local LIVE = {active = true, paused = true}
local KEPT = {abandoned = true, archived = true, completed = true, failed = true, expired = true}

-- A session has a few chats. Where its record says more than this, it is corrupt. Their numbers go
-- further, as those of chats that were removed never come again.
local CHATS_READ_MAX, CHAT_NUMBER_MAX = 1000, 999999

-- Ends a request because a record is corrupt, whatever it was about to do.
local function corrupt(what) error({err = 'CORRUPT ' .. what}, 0) end

-- Whether a request failed because a record, or one of its keys, is corrupt.
local function is_corrupt(failure)
  local message = type(failure) == 'table' and failure.err or tostring(failure)
  return find(message, 'CORRUPT', 1, true) or find(message, 'WRONGTYPE', 1, true)
end

-- The ids of a device's sessions, newest first: those behind `from`, unless it is empty, and no
-- more than `most` of them (-1: all). `sessions` holds `<device>/<session>` of all devices in the
-- order of their texts, and a session's id begins with its time.
local function ids_of(base, device, from, most)
  local first = from == '' and '(' .. device .. '0' or '(' .. device .. '/' .. from
  local found = call('ZREVRANGEBYLEX', base .. ':sessions', first, '[' .. device .. '/',
    'LIMIT', 0, most)
  for i, entry in ipairs(found) do found[i] = string.sub(entry, #device + 2) end
  return found
end

-- The numbers of a session's chats, in order, and the highest that was given out; nil if the text
-- is none. It is the highest number, and behind it those that are left, once one was removed.
local function chat_numbers(line)
  local list, space, last = {}, find(line, ' ', 1, true), tonumber(string.match(line, '^%d+'))
  if not last or last > CHAT_NUMBER_MAX or find(line, '[^%d ]') then return nil end
  if not space then
    if last < 1 or last > CHATS_READ_MAX then return nil end
    for chat = 1, last do list[chat] = chat end
    return list, last
  end
  for chat in string.gmatch(cut(line, space), '%d+') do list[#list + 1] = tonumber(chat) end
  if #list > CHATS_READ_MAX then return nil end
  return list, last
end

-- All keys of a session: its record, its documents, and of each chat its messages and its index.
local function keys_of(s)
  local keys = {s.key, s.key .. '/docs', s.key .. '/values', s.key .. '/ttl'}
  for _, chat in ipairs(s.chats) do
    local log = s.key .. '/' .. text(chat)
    keys[#keys + 1], keys[#keys + 2] = log, log .. '/ids'
  end
  return keys
end

-- When each clock ends in the present state of the session; nil where it does not run.
local function idle_at(s)
  return s.state == 'active' and s.clocks.idle > 0 and s.active + s.clocks.idle or nil
end
local function abandon_at(s)
  return LIVE[s.state] and s.clocks.abandon > 0 and s.active + s.clocks.abandon or nil
end
local function life_at(s)
  return LIVE[s.state] and s.clocks.life > 0 and s.born + s.clocks.life or nil
end
local function keep_until(s)
  if LIVE[s.state] or s.state == 'abandoned' then return nil end
  return s.since + s.clocks.keep
end
