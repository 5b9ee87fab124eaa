-- SEIZE: takes the lock, whichever agent holds it. An agent that seizes from itself has a new
-- token, and no other agent has lost anything: that is counted, and is no event.
-- USES: batch, requests, lock_closings, locks
-- KEYS: the base key of each request's partition
-- ARGV: device, agent, ttl, request id or empty
-- RETURNS: OK
return each(4, function(base, i)
  local device, agent, ttl = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local record, holder, current, acquired = live(base, device)
  local from = 'null'
  if record then
    from = '"' .. holder .. '"'
    if holder == agent then
      count_ending(base, 'seized', now_ms, acquired, holder)
    else
      close(base, device, 'seized', now_ms, acquired, current, holder, ',"to":"' .. agent .. '"')
    end
  end
  local fresh = grant(base, device, agent, ttl, record)
  return granted(agent, fresh, ttl, now_ms, 'false,"seized_from":' .. from .. '}')
end, true)
