-- How a turn begins, and goes on.
-- USES: batch, pushes, ledger, tokens, lock_deadlines, lock_grants, lock_holders, locks,
--   lock_records, turn_records, turn_settling
-- RARELY: take_lock, turn_settling
-- GIVES: take_lock, keep_lock, go_on, begin_turn

-- Makes an agent the holder of the device's lock, or starts the TTL of its own again; the lock
-- lives as long as the turn, at least. Returns the token.
local function take_lock(base, device, agent, ttl, turn_ms)
  local record, _, current, _, _, is_grant = live(base, device)
  if not record then return grant(base, device, agent, ttl, false) end
  if is_grant then
    lock_grants.begin(base, device, record, ttl)
    return current
  end
  local _, _, _, _, own = read_record(record)
  local is_short = (ms_of(own) or corrupt_lock(base, device)) < turn_ms
  extend(base, device, record, is_short and text(turn_ms))
  return current
end

-- Starts the TTL of the lock of a turn's agent again if it would end before the turn.
local function keep_lock(t)
  if t.agent == '' then return end
  local record, holder, _, _, ends_at, is_grant = live(t.base, t.device)
  if record and holder == t.agent and not is_grant and tonumber(ends_at) < t.ends_at then
    take_lock(t.base, t.device, t.agent, '', t.ends_at - now_ms)
  end
end

-- Starts a turn's TTL again, and the lock's if it would end before. Returns the TTL.
local function go_on(t)
  renew_turn(t)
  keep_lock(t)
  return t.ends_at - now_ms
end

-- Begins a turn in a session's chat, with the lock of its agent; it may have been granted, and it
-- may have to settle first, with its caller under this ticket. `seen` has `token`, `turns_running`
-- and `turns_begun` of the ledger if they were read already, `is_first` says that the device has no
-- record of a turn. Returns it, and the lock's token; its record is written by `write_turn`, once
-- its messages are said.
local function begin_turn(base, device, agent, lock_ttl, ttl_ms, settle_ms, s, chat, taken, ticket,
    seen, is_first)
  local settles = settle_ms > 0
  local token = agent ~= '' and take_lock(base, device, agent, lock_ttl,
    settles and turn_settling.length(settle_ms) or ttl_ms)
  local length = settles and turn_settling.WAIT_MS or ttl_ms
  seen = seen or attempt('HMGET', base .. ':ledger', 'token', 'turns_running', 'turns_begun')
  local number = taken and taken.turn or next_token(seen[1])
  local t = {base = base, device = device, turn = number, ends_at = now_ms + length,
    ttl_ms = ttl_ms, agent = agent, session = s.id, chat = chat, said = '', joined = '',
    ticket = '', place = '', settle = '', is_new = true}
  regardless(call, 'HSET', base .. ':ledger', 'token', taken and seen[1] or number,
    'turns_running', counted(seen[2], taken and 0 or 1), 'turns_begun', counted(seen[3], 1))
  if not is_first then call('DEL', turn_key(base, device), draft_key(base, device)) end
  regardless(call, 'ZADD', base .. ':due', text(t.ends_at), 't:' .. device)
  if settles then turn_settling.begin(t, settle_ms, ticket) end
  push_began(t)
  return t, token
end
