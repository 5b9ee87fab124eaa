-- The common parts of the scripts of the lock verbs. A lock is a record, `held:<device>`, without a
-- TTL: it outlives its deadline, so that the next request knows exactly when the lock ended. A lock
-- counts while its deadline is ahead. Beside it, `lock:<device>` has a native TTL, whose end Redis
-- announces; its value means nothing, and a small number is one that Redis has already.
-- USES: batch, ledger, tokens, lock_records, lock_closings
-- GIVES: watch_lock, ms_of, grant, is_ahead, extend, live, held_by, stale, granted

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
local function ms_of(ttl)
  local n, unit = string.match(ttl, '^(%d+)([smhd]?)$')
  local ms = n and n * (UNITS[unit] or 1)
  return ms and ms <= 315360000000 and ms or nil
end

-- Makes `agent` the holder, under a token greater than all before it in this partition. `before` is
-- the record of the holder until now, or nil; the note, if there is one, is JSON.
local function grant(base, device, agent, ttl, before, note)
  local ledger, held = base .. ':ledger', 'held:' .. agent
  local seen = attempt('HMGET', ledger, 'token', held)
  local token, ends_at = next_token(seen[1]), text(now_ms + ms_of(ttl))
  local has_note = note and note ~= ''
  if has_note then
    call('SET', note_key(base, device), note)
  elseif before and cut(before, -2) == ' +' then
    call('DEL', note_key(base, device))
  end
  regardless(call, 'HSET', ledger, 'token', token, held, counted(seen[2], 1))
  call('SET', record_key(base, device),
    make_record(ends_at, token, agent, now_text, ttl, has_note))
  watch_lock(base, device, ends_at)
  return token
end

-- Whether a deadline is further away than its lock's TTL: Redis' clock has gone back since it was
-- set, and the lock is to end after its TTL from now on.
local function is_ahead(ends_at, ttl)
  local ms = ms_of(ttl)
  return ms and ends_at - now_ms > ms + 1000 and is_plausible()
end

-- Starts the holder's TTL again: a new deadline in the record, by the TTL that is asked for or, if
-- none is, the record's own. The index and the native TTL are written only if the deadline comes
-- nearer: a reaper that comes too early sets both to what it finds. Returns the TTL.
local function extend(base, device, record, asked)
  local ends_at, token, agent, acquired, ttl, has_note = read_record(record)
  ttl = asked or ttl
  local ms = ms_of(ttl) or corrupt_lock(base, device)
  local deadline = text(now_ms + ms)
  if deadline < ends_at and not is_plausible() then deadline = ends_at end
  local extended = make_record(deadline, token, agent, acquired, ttl, has_note)
  call('SET', record_key(base, device), extended)
  if deadline < ends_at then watch_lock(base, device, deadline) end
  return ttl
end

-- The live lock of a device: its record and its parts, or nil. One that has expired is ended as
-- abandoned on the way. `record` is the record if it was read already.
local function live(base, device, record)
  record = record or fetch_record(base, device)
  if not record then return nil end
  local ends_at, token, agent, acquired, ttl = read_record(record)
  if not ends_at then corrupt_lock(base, device) end
  if is_ahead(ends_at, ttl) then
    extend(base, device, record)
    return live(base, device)
  end
  if ends_at > now_text then return record, agent, token, acquired, ends_at end
  close(base, device, 'abandoned', tonumber(ends_at), acquired, token, agent)
  free(base, device)
  return nil
end

local function held_by(agent, ends_at)
  return string.format('HELD {"agent":"%s","ttl_ms":%.0f}', agent, ends_at - now_ms)
end

local function stale(agent, ends_at)
  return string.format('STALE {"agent":"%s","ttl_ms":%.0f}', agent, ends_at - now_ms)
end

local function granted(agent, token, ttl, acquired, renewed)
  return 'OK {"agent":"' .. agent .. '","token":' .. token .. ',"ttl_ms":' .. text(ms_of(ttl))
    .. ',"acquired_at":' .. acquired .. ',"renewed":' .. renewed
end
