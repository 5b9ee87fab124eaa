-- How a lock ends: once, because its record goes in the same step as the event is written.
-- USES: batch, changes, ledger, event_log, lock_records
-- GIVES: count_ending, close, free, is_corrupt_lock

-- Counts that an agent's token has ended, how and when; `record` is the lock's. Returns for how
-- long it was held, in ms.
local function count_ending(base, ending, at_ms, acquired, agent, record)
  -- Not below zero, though the clock may have gone back since.
  local held_ms = math.max(0, at_ms - acquired)
  local ledger, tally, owner = base .. ':ledger', 'agent:' .. agent, owner_of(record)
  local seen = attempt('HMGET', ledger, ending, 'held_ms', 'held:' .. agent, tally, 'held_at',
    owned_field('locks:', owner))
  if seen.err then return held_ms end
  if not seen[4] and call('HLEN', ledger) > AGENTS_MAX then
    tally = 'agent:*'
    seen[4] = call('HGET', ledger, tally)
  end
  local n, sum, longest, lost = tally_of(seen[4])
  if not n then n, sum, longest, lost = 0, 0, 0, 0 end
  if ending == 'abandoned' then lost = lost + 1 end
  call('HSET', ledger, ending, string.format('%.0f', counted(seen[1], 1)),
    'held_ms', string.format('%.0f', counted(seen[2], held_ms)),
    'held_at', string.format('%.0f', math.max(0, counted(seen[5], -since_start(acquired)))), tally,
    string.format('%.0f %.0f %.0f %.0f', n + 1, sum + held_ms, math.max(longest, held_ms), lost),
    owned_after('locks:', owner, seen[6], -1))
  local held = counted(seen[3], -1)
  if held > 0 then
    call('HSET', ledger, 'held:' .. agent, string.format('%.0f', held))
  else
    call('HDEL', ledger, 'held:' .. agent)
  end
  return held_ms
end

-- Writes that a token has ended, how and when: once, because its record goes with it.
local function close(base, device, ending, at_ms, acquired, token, agent, record, more)
  local held_ms = count_ending(base, ending, at_ms, acquired, agent, record)
  if ending == 'released' then
    push(base, device, 'lock.released', nil, nil, ',"agent":"%s","held_ms":%.0f', agent, held_ms)
  else
    publish(base, 'lock.' .. ending, device, string.format(
      '"at":%.0f,"agent":"%s","token":%s,"held_ms":%.0f', at_ms, agent, token, held_ms)
      .. (more or ''))
  end
  return held_ms
end

-- Removes a lock's record, its note, its TTL key and its deadline.
local function free(base, device)
  drop_record(base, device)
  attempt('ZREM', base .. ':due', 'l:' .. device)
end

local function is_corrupt_lock(base, device)
  local record = fetch_record(base, device)
  return record and not read_record(record)
end
