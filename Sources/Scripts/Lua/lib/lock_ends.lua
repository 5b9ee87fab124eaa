-- What becomes of a lock that has ended: it goes back to the agent that has lent it, or to the
-- first caller that waits, or is free.
-- USES: lock_records, lock_deadlines, lock_closings, lock_holders, lock_grants,
--   lock_sharing
-- GIVES: release_lock, end_lock, expire_lock

-- Frees the lock. Returns the record of a grant to a caller that waits, or nil.
local function release_lock(base, device)
  free(base, device)
  return lock_grants.next(base, device)
end

-- Ends a lock that its holder gives up, or whose time is over. A return is the only ending that its
-- token has. Returns the record of the next one as above, and for how long it was held, in ms.
local function end_lock(base, device, record, ending, at_ms)
  local _, token, agent, acquired = read_record(record)
  local _, back, ttl = fetch_more(base, device, record)
  if not back or not ms_of(ttl) then
    local held_ms = close(base, device, ending, at_ms, acquired, token, agent, record)
    return release_lock(base, device), held_ms
  end
  local held_ms = close(base, device, 'returned', at_ms, acquired, token, agent, record,
    ',"to":"' .. back .. '"')
  grant(base, device, back, ttl, record)
  inform_sharing(base, device, back)
  return fetch_record(base, device), held_ms
end

-- Ends a lock, or a grant, whose time is over. Returns the record of the next one as above.
local function expire_lock(base, device, record)
  local ends_at, _, _, _, _, mark = read_record(record)
  if mark ~= '*' then
    return (end_lock(base, device, record, 'abandoned', tonumber(ends_at)))
  end
  lock_grants.pass_over(base, device, record)
  return release_lock(base, device)
end
