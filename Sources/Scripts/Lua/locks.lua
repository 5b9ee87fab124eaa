-- What the scripts of the lock verbs share. A lock is a field of its partition's hash `locks`:
-- `<deadline> <acquired_at> <token> <agent>[ <note>]`. The field outlives the deadline, so that
-- whoever comes next knows exactly when the lock ended; a lock counts while its deadline is
-- ahead. Beside it, `lock:<device>` has the native TTL, whose end Redis announces; its value says
-- nothing, and a small number is one that Redis has already.
-- Until the year 2286 times have 13 digits and tokens 16, so texts compare as the numbers do.
-- KEYS: as in batch.lua
-- ARGV: none of its own
-- RETURNS: nothing

-- Zeros before the deadline make a record longer than 64 bytes, which makes the hash a real table:
-- in Redis' compact form a LOCK of one among 400 in a partition took 20 us instead of 10.
local zeros = string.rep('0', 19)

-- The live lock of a device: its record and what stands in it, or nil. One that has run out is
-- told as abandoned on the way, whoever comes first. `record` is what was read already.
local function live(base, device, record)
  record = record or call('HGET', base .. ':locks', device)
  if not record then return nil end
  -- Cut out by place: string.match took 1 us more.
  local ends_at, acquired = cut(record, 20, 32), cut(record, 34, 46)
  local token = cut(record, 48, 63)
  local agent = cut(record, 65, (find(record, ' ', 65, true) or 0) - 1)
  if ends_at > now_text then return record, agent, token, acquired, ends_at end
  close(base, device, 'abandoned', tonumber(ends_at), acquired, token, agent)
  free(base, device)
  return nil
end

-- Makes `agent` the holder, under a token greater than all before it in this partition. The
-- clock makes it so even where Redis has lost its newest writes.
local function grant(base, device, agent, ttl, note)
  local ledger, held = base .. ':ledger', 'held:' .. agent
  local seen = call('HMGET', ledger, 'token', held)
  local token, ends_at = text(math.max((seen[1] or 0) + 1, now_us)), text(now_ms + ttl)
  local record = zeros .. ends_at .. ' ' .. now_text .. ' ' .. token .. ' ' .. agent
  if note and note ~= '' then record = record .. ' ' .. note end
  call('HSET', ledger, 'token', token, held, (seen[2] or 0) + 1)
  call('HSET', base .. ':locks', device, record)
  call('SET', base .. ':lock:' .. device, 1, 'PXAT', ends_at)
  call('ZADD', base .. ':due', ends_at, 'l:' .. device)
  return token
end

-- Starts the holder's TTL again. The index is written only if the deadline comes nearer: a
-- reaper that comes too early puts the lock back with the deadline that it finds.
local function extend(base, device, record, ends_at, ttl)
  local later, key = text(now_ms + ttl), base .. ':lock:' .. device
  call('HSET', base .. ':locks', device, zeros .. later .. cut(record, 33))
  -- A new deadline costs less than a new value; the key is not there if somebody deleted it.
  if call('PEXPIREAT', key, later) == 0 then call('SET', key, 1, 'PXAT', later) end
  if later < ends_at then call('ZADD', base .. ':due', later, 'l:' .. device) end
end

local function held_by(agent, ends_at)
  return string.format('HELD {"agent":"%s","ttl_ms":%.0f}', agent, ends_at - now_ms)
end

local function stale(agent, ends_at)
  return string.format('STALE {"agent":"%s","ttl_ms":%.0f}', agent, ends_at - now_ms)
end

local function granted(agent, token, ttl, acquired, renewed)
  return 'OK {"agent":"' .. agent .. '","token":' .. token .. ',"ttl_ms":' .. ttl
    .. ',"acquired_at":' .. acquired .. ',"renewed":' .. renewed
end

-- The usual case, before all others: the holder itself, with a lock that is live and has no note.
-- Gives the reply, or nil if it is any other case. `token` is what must be current, or empty.
local function again(base, device, record, agent, ttl, token)
  if not record or #record ~= 64 + #agent or cut(record, 65) ~= agent then return nil end
  local ends_at, current = cut(record, 20, 32), cut(record, 48, 63)
  if ends_at <= now_text or token ~= '' and token ~= current then return nil end
  extend(base, device, record, ends_at, ttl)
  return granted(agent, current, ttl, cut(record, 34, 46), 'true}')
end
