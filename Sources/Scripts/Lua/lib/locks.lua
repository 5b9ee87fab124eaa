-- The common parts of the scripts of the lock verbs. A lock is a record, `held:<device>`, without a
-- TTL: it outlives its deadline, so that the next request knows exactly when the lock ended. A lock
-- counts while its deadline is ahead. Beside it, `lock:<device>` has a native TTL, whose end Redis
-- announces; its value means nothing, and a small number is one that Redis has already.
-- USES: batch, lock_records, lock_deadlines, lock_ends
-- GIVES: live, held_by, stale, granted

-- The lock of a device: its record and its parts, and whether it is a grant to a caller that waits;
-- or nil. One that has expired is ended on the way. `record` is the record if it was read already.
local function live(base, device, record)
  record = record or fetch_record(base, device)
  while record do
    local ends_at, token, agent, acquired, ttl, mark = read_record(record)
    if not ends_at then corrupt_lock(base, device) end
    if is_ahead(ends_at, ttl) then
      extend(base, device, record)
      return live(base, device)
    end
    if ends_at > now_text then return record, agent, token, acquired, ends_at, mark == '*' end
    record = expire_lock(base, device, record)
  end
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
