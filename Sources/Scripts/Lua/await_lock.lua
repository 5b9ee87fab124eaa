-- LOCK with wait= or fresh=: acquires a free device's lock, or one that was granted to the request;
-- starts the TTL of its own agent's again unless it has to be fresh; else it waits if it has a
-- ticket. `waited_ms` is 0 when it asks for the first time, and `place` what WAIT has named then.
-- USES: batch, requests, lock_records, lock_deadlines, lock_ends, lock_begin, lock_holders,
--   lock_grants, lock_sharing, locks, log_quota, queue, queue_entry
-- KEYS: the base key of each request's partition
-- ARGV: device, agent, ttl, is_asked?, is_fresh?, ticket?, wait_ms, waited_ms, place?, req?
-- RETURNS: OK, HELD, ERR, WAIT

-- The lock was granted to the ticket; another caller of its agent may have begun it.
local function take(base, device, agent, record, is_grant, acquired, ttl, is_asked)
  local refusal = is_grant and (log_refusal(base, device) or lock_quota(ttl))
  if refusal then
    release_lock(base, device)
    return refusal
  end
  if is_grant then
    lock_grants.begin(base, device, record, ttl)
    inform_sharing(base, device, agent)
    acquired = now_text
  else
    ttl = extend(base, device, record, is_asked ~= '' and ttl)
  end
  lock_grants.drop(base, device)
  return granted(agent, cut(record, 15, 30), ttl, acquired, 'false}')
end

return each(function(base, device, agent, ttl, is_asked, is_fresh, ticket, wait_ms, waited_ms,
    place)
  local record, holder, current, acquired, ends_at, is_grant = live(base, device)
  -- Callers wait for a lock that is free only if its record was removed by other means.
  if not record and ticket ~= '' and lock_grants.next(base, device) then
    record, holder, current, acquired, ends_at, is_grant = live(base, device)
  end
  if not record then
    local token, refusal = grant(base, device, agent, ttl)
    return refusal or granted(agent, token, ttl, now_text, 'false}')
  end
  if lock_grants.is_of(base, device, record, ticket) then
    return take(base, device, agent, record, is_grant, acquired, ttl, is_asked)
  end
  if holder == agent and is_fresh == '' then
    if ticket ~= '' then queue.leave(base, 'l', device, ticket) end
    if is_grant then return share_grant(base, device, record, ttl) end
    ttl = extend(base, device, record, is_asked ~= '' and ttl)
    return granted(agent, current, ttl, acquired, 'true}')
  end
  if ticket == '' then return held_by(holder, ends_at) end
  local granted_to = is_grant and lock_grants.ticket_of(base, device, record) or ''
  return enter_queue(base, 'l', device, ticket, wait_ms, waited_ms, place, granted_to)
    or held_by(holder, ends_at)
end)
