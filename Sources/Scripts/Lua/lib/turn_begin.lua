-- How a turn begins, and how one is shown.
-- USES: batch, pushes, ledger, tokens, lock_deadlines, lock_holders, locks, lock_records,
--   session_load, chat_address, messages, turn_records, turn_settling, turn_messages
-- GIVES: take_lock, go_on, begin_turn, shown_turn, shown_again, busy

-- Makes an agent the holder of the device's lock, or starts the TTL of its own again; the lock
-- lives as long as the turn, at least. Returns the token.
local function take_lock(base, device, agent, ttl, turn_ms)
  local record, _, current = live(base, device)
  if not record then return grant(base, device, agent, ttl, false) end
  local _, _, _, _, own = read_record(record)
  local is_short = (ms_of(own) or corrupt_lock(base, device)) < turn_ms
  extend(base, device, record, is_short and text(turn_ms))
  return current
end

-- Starts a turn's TTL again, and the lock's if it would end before. Returns the TTL.
local function go_on(t)
  renew_turn(t)
  if t.agent == '' then return t.ends_at - now_ms end
  local record, holder, _, _, ends_at, is_grant = live(t.base, t.device)
  if record and holder == t.agent and not is_grant and tonumber(ends_at) < t.ends_at then
    take_lock(t.base, t.device, t.agent, '', t.ttl_ms)
  end
  return t.ends_at - now_ms
end

-- Begins a turn in a session's chat, with the lock of its agent; it may have been granted, and it
-- may have to settle first, with its caller under this ticket. Returns it, and the lock's token.
local function begin_turn(base, device, agent, lock_ttl, ttl_ms, settle_ms, s, chat, taken, ticket)
  local length = settle_ms > 0 and turn_settling.length(settle_ms) or ttl_ms
  local token = agent ~= '' and take_lock(base, device, agent, lock_ttl, length)
  local seen = attempt('HMGET', base .. ':ledger', 'token', 'turns_running', 'turns_begun')
  local number = taken and taken.turn or next_token(seen[1])
  local t = {base = base, device = device, turn = number, ends_at = now_ms + length,
    ttl_ms = ttl_ms, agent = agent, session = s.id, chat = chat, said = '', joined = '',
    ticket = '', place = '', settle = ''}
  regardless(call, 'HSET', base .. ':ledger', 'token', taken and seen[1] or number,
    'turns_running', counted(seen[2], taken and 0 or 1), 'turns_begun', counted(seen[3], 1))
  call('DEL', turn_key(base, device), draft_key(base, device))
  call('HSET', turn_key(base, device), 'turn', number, 'ends', text(t.ends_at), 'ttl',
    text(ttl_ms), 'agent', agent, 'session', s.id, 'chat', text(chat))
  regardless(call, 'ZADD', base .. ':due', text(t.ends_at), 't:' .. device)
  if settle_ms > 0 then turn_settling.begin(t, settle_ms, ticket) end
  push_began(t)
  return t, token
end

-- A turn for the worker: members of its line as JSON, the session's record, messages, and for how
-- long its caller has waited.
local function shown_turn(s, chat, limit, members, waited_ms)
  local entries, more = newest_entries(log_of(s, chat), limit)
  local flat, size = attempt('HGETALL', s.key), 0
  for n = 1, #flat do size = size + #flat[n] end
  return {'turn', members, flat, entries, more and 1 or 0, tonumber(waited_ms)},
    size + bytes_of(entries)
end

-- The reply of which this was kept, with the session and the messages as they are now. A retry has
-- waited for nothing.
local function shown_again(base, device, kept, waited_ms)
  local id, chat, limit, number, rest = string.match(kept, '^(%w+) (%d+) (%d+) (%d+) (.*)$')
  if not id then
    return string.match(kept, '^OK {') and kept
  end
  local s = load(base, device, id)
  if not s or not chat_of(s, chat) then return 'NONE' end
  local t = running_turn(base, device, number)
  if t and t.settle ~= '' then return turn_settling.reply(t, kept) end
  local members = '"turn":' .. number .. ',"ttl_ms":' .. text(t and t.ends_at - now_ms or 0) .. rest
  local reply, size = shown_turn(s, chat, tonumber(limit), members, waited_ms or 0)
  return reply, nil, size
end

-- The turn may have ended in this moment.
local function busy(t, ahead)
  local agent = t and t.agent ~= '' and '"' .. t.agent .. '"' or 'null'
  return string.format('BUSY {"agent":%s,"ttl_ms":%.0f,"ahead":%.0f}', agent,
    t and t.ends_at - now_ms or 0, ahead)
end
