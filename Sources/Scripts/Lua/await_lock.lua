-- LOCK with wait= or fresh=: acquires a free device's lock, or one that was granted to the request;
-- starts the TTL of its own agent's again unless it has to be fresh; else it waits if it has a
-- ticket.
-- USES: batch, requests, lock_deadlines, lock_ends, lock_holders, lock_grants, lock_sharing, locks,
--   log_quota, queue, queue_entry
-- KEYS: the base key of each request's partition
-- ARGV: device, agent, ttl, is_asked?, is_fresh?, ticket?, wait_ms, req?
-- RETURNS: OK, HELD, ERR, WAIT
return each(function(base, device, agent, ttl, is_asked, is_fresh, ticket, wait_ms)
  local record, holder, current, acquired, ends_at, is_grant = live(base, device)
  -- Callers wait for a lock that is free only if its record was removed by other means.
  if not record and ticket ~= '' and lock_grants.next(base, device) then
    record, holder, current, acquired, ends_at, is_grant = live(base, device)
  end
  if not record then
    local token, refusal = grant(base, device, agent, ttl)
    return refusal or granted(agent, token, ttl, now_text, 'false}')
  end
  if is_grant and lock_grants.is_of(base, device, ticket) then
    local refusal = log_refusal(base, device)
    if refusal then
      release_lock(base, device)
      return refusal
    end
    local token = lock_grants.acquire(base, device, record, ttl)
    inform_sharing(base, device, agent)
    return granted(agent, token, ttl, now_text, 'false}')
  end
  if holder == agent and not is_grant and is_fresh == '' then
    if ticket ~= '' then queue.leave(base, 'l', device, ticket) end
    ttl = extend(base, device, record, is_asked ~= '' and ttl)
    return granted(agent, current, ttl, acquired, 'true}')
  end
  if ticket ~= '' then return enter_queue(base, 'l', device, ticket, tonumber(wait_ms)) end
  return held_by(holder, ends_at)
end)
