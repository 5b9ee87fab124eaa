-- Chats: each is a list beside its session's record, oldest message first. An entry is a message as
-- HISTORY shows it without its beginning: `<seq>,"at":<ms>,"message":<JSON>}`. Of entries as they
-- are a worker makes the reply: Lua's time goes with the texts that it makes.
-- USES: batch
-- GIVES: log_of, entry_of, entries_of, seq_of, seq_at, newest_seq, append, place_after, answers_in

local function log_of(s, chat) return s.key .. '/' .. text(chat) end

local function entry_of(seq, at, json)
  return seq .. ',"at":' .. at .. ',"message":' .. json .. '}'
end

-- The entries of messages, each behind whose it is, that are said now behind the number `seq`; but
-- for so many `skipped` ones at their beginning.
local function entries_of(seq, messages, skipped)
  local entries = {}
  for n = skipped + 1, #messages / 2 do
    entries[n - skipped] = entry_of(text(seq + n), now_text, messages[2 * n])
  end
  return entries
end

-- The number of an entry, or nil if it is corrupt.
local function seq_of(entry) return tonumber(string.match(entry, '^%d+')) end

-- The number of the entry at a place; of one that is corrupt, by those before it.
local function seq_at(log, place)
  for back = 0, math.min(place, 63) do
    local seq = seq_of(call('LINDEX', log, text(place - back)))
    if seq then return seq + back end
  end
  return place
end

-- The newest message's number; 0 without one.
local function newest_seq(log)
  local length = call('LLEN', log)
  return length > 0 and seq_at(log, length - 1) or 0
end

-- Appends entries; returns how many messages there are now. A call takes some 8,000 arguments.
local function append(log, entries)
  local length
  for first = 1, #entries, 1000 do
    length = call('RPUSH', log, unpack(entries, first, math.min(first + 999, #entries)))
  end
  return length
end

-- The place of the first message after a number: 0 is the oldest's. Numbers grow by one, but for
-- those that POP or IMPORT has left out: without such gaps a place is known from the oldest one's
-- number or the newest one's, and with few of them it is between two places that are close.
local function place_after(log, seq)
  local length = call('LLEN', log)
  local newest = length > 0 and seq_at(log, length - 1)
  if not newest or newest <= seq then return length end
  local low = math.max(0, length - (newest - seq))
  local high = math.max(0, math.min(length - 1, seq + 1 - seq_at(log, 0)))
  while low < high do
    local middle = math.floor((low + high) / 2)
    if seq_at(log, middle) > seq then high = middle else low = middle + 1 end
  end
  return low
end

-- The time from a user's message to the next message of another role is the time of an answer.
-- `messages` has role and text in turn, `asked` is when the user's unanswered message came: returns
-- the new `asked`, how many are answers, and how long those took.
local function answers_in(messages, asked)
  local answers, ms = 0, 0
  for n = 1, #messages, 2 do
    local whose = messages[n]
    if whose == 'user' then
      asked = now_ms
    elseif whose == 'other' and asked then
      answers, ms, asked = answers + 1, ms + math.max(0, now_ms - asked), nil
    end
  end
  return asked, answers, ms
end
