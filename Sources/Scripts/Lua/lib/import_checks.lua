-- The checks of IMPORT before it writes a session, and how it writes the messages.
-- USES: batch, ledger, session_index, numbers, clocks, cleanup, messages
-- GIVES: over_at, made_at, in_the_past, remove_stale, restore_messages, count_session

-- When a session with these fields is gone by its clocks alone.
local function over_at(v)
  local since, born = v.since or v.created, v.born or v.created
  return gone_by({state = v.state, since = tonumber(since), born = tonumber(born),
    clocks = clocks_of(v.clocks)})
end

-- The time of a session's id in ms: its first ten characters, of 32 digits; 0 if it is no such id.
local DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
local function made_at(id)
  if #id ~= 26 then return 0 end
  local ms = 0
  for at = 1, 10 do ms = ms * 32 + find(DIGITS, cut(id, at, at), 1, true) - 1 end
  return ms
end

local TIMES = {created = true, updated = true, active = true, born = true, since = true,
  ended = true}

-- The members of names and values in turn, after each time that is ahead was set to now.
local function in_the_past(fields)
  local v = {}
  for n = 1, #fields, 2 do
    local is_time = TIMES[fields[n]] or string.match(fields[n], '^[bt]:')
    if is_time and tonumber(fields[n + 1]) > now_ms then fields[n + 1] = now_text end
    v[fields[n]] = fields[n + 1]
  end
  return v
end

-- Removes the entries of a record that went by its TTL and was not reaped yet: only its member in
-- the index is left, and the one of a session of the same name would replace it.
local function remove_stale(base, device, id)
  for state, letter in string.gmatch(LETTERS, '(%l+)=(%l)') do
    if call('ZSCORE', base .. ':due', letter .. ':' .. device .. '/' .. id) then
      remove_lost(base, device, id, state)
      recount(base, device)
    end
  end
end

-- Writes the messages of all chats: four parts each, chat, number, time and JSON.
local function restore_messages(s, messages)
  local entries = {}
  for n = 1, #messages, 4 do
    entries[#entries + 1] = entry_of(messages[n + 1], messages[n + 2], messages[n + 3])
    if messages[n + 4] ~= messages[n] then
      append(log_of(s, messages[n]), entries)
      entries = {}
    end
  end
end

-- Counts a session in its state, and if it is live as its principal's and its chats; with -1 it is
-- one less.
local function count_session(s, times)
  count(s.base, 'state:' .. s.state, times)
  if LIVE[s.state] then
    count_chats(s.base, #s.chats, times)
    count_live(s, times)
  end
end
