-- SEIZE: takes the lock, whichever agent holds it, and interrupts the turn of an agent. An agent
-- that seizes from itself has a new token, and no other agent has lost anything: that is counted,
-- and is no event. A record that is corrupt is replaced: whose it was is not known.
-- USES: batch, requests, lock_records, lock_closings, lock_recounts, lock_holders, lock_grants,
--   lock_sharing, locks, log_quota, turn_ends
-- KEYS: the base key of each request's partition
-- ARGV: device, agent, ttl, req?
-- RETURNS: OK, ERR
local function take(base, device, agent, ttl, before, from)
  local fresh = grant(base, device, agent, ttl, before)
  inform_sharing(base, device, agent)
  interrupt_turn(base, device)
  return granted(agent, fresh, ttl, now_ms, 'false,"seized_from":' .. from .. '}')
end

return each(function(base, device, agent, ttl)
  local refusal = log_refusal(base, device) or lock_quota(ttl)
  if refusal then return refusal end
  if is_corrupt_lock(base, device) then
    close_corrupt(base, device, 'seized', ',"to":"' .. agent .. '"')
    return take(base, device, agent, ttl, false, 'null,"damaged":["seized_from"]')
  end
  local record, holder, current, acquired, _, is_grant = live(base, device)
  local from = 'null'
  if is_grant then
    lock_grants.put_back(base, device, record)
  elseif record then
    from = '"' .. holder .. '"'
    if holder == agent then
      count_ending(base, 'seized', now_ms, acquired, holder, record)
    else
      close(base, device, 'seized', now_ms, acquired, current, holder, record,
        ',"to":"' .. agent .. '"')
    end
  end
  return take(base, device, agent, ttl, record or false, from)
end)
