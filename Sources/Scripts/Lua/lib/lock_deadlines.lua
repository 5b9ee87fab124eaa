-- The deadlines of locks, and the TTLs that they come from.
-- USES: batch, lock_records, turn_records
-- GIVES: watch_lock, ttl_in, ms_of, is_ahead, extend

-- Sets the times at which a lock is reaped: its entry in the index, and the key whose end Redis
-- announces.
local function watch_lock(base, device, ends_at)
  call('SET', base .. ':lock:' .. device, 1, 'PXAT', ends_at)
  regardless(call, 'ZADD', base .. ':due', ends_at, 'l:' .. device)
end

-- A TTL as scripts get it and records keep it, in ms: digits, and a unit for what is a whole number
-- of one. At 44 bytes or less, which most records so have, Redis keeps a value in one piece.
-- Nil if it is none, or longer than any TTL: 3650 d.
local UNITS = {s = 1000, m = 60000, h = 3600000, d = 86400000}
local function ttl_in(digits, unit)
  local ms = digits and digits * (UNITS[unit] or 1)
  return ms and ms <= 315360000000 and ms or nil
end

-- Behind it there may be the mark of a principal.
local function ms_of(ttl)
  local digits, unit, stop = string.match(ttl, '^(%d+)([smhd]?)()')
  if not digits or stop <= #ttl and cut(ttl, stop, stop) ~= '/' then return nil end
  return ttl_in(digits, unit)
end

-- Whether a deadline is further away than its lock's TTL: Redis' clock has gone back since it was
-- set, and the lock is to end after its TTL from now on.
local function is_ahead(ends_at, ttl)
  local ms = ms_of(ttl)
  return ms and ends_at - now_ms > ms + 1000 and is_plausible()
end

-- Starts the holder's TTL again: a new deadline in the record, by the TTL that is asked for or, if
-- none is, the record's own. The index and the native TTL are written only if the deadline comes
-- nearer: a reaper that comes too early sets both to what it finds. It comes no nearer than that of
-- a turn of the agent. It stays its principal's. Returns the TTL.
local function extend(base, device, record, asked)
  local ends_at, token, agent, acquired, ttl, mark = read_record(record)
  local owner = string.match(ttl, '/.*$') or ''
  if asked then ttl = string.match(asked, '^%w+') .. owner end
  local ms = ms_of(ttl) or corrupt_lock(base, device)
  local deadline = text(now_ms + ms)
  if deadline < ends_at and not is_plausible() then deadline = ends_at end
  local t = deadline < ends_at and fetch_turn(base, device)
  if t and t.agent == agent and t.ends_at > now_ms + ms then
    ttl, deadline = text(t.ends_at - now_ms) .. owner, text(t.ends_at)
  end
  local extended = make_record(deadline, token, agent, acquired, ttl, mark)
  call('SET', record_key(base, device), extended)
  if deadline < ends_at then watch_lock(base, device, deadline) end
  return ttl
end
