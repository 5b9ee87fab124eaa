-- CLEAR: the operator frees the lock, whichever agent holds it, and removes a record that is
-- corrupt. The turn of an agent is interrupted.
-- USES: batch, requests, lock_closings, lock_recounts, lock_grants, lock_ends, locks, turn_ends
-- KEYS: the base key of each request's partition
-- ARGV: device, req?
-- RETURNS: OK, NONE
return each(function(base, device)
  if is_corrupt_lock(base, device) then
    close_corrupt(base, device, 'cleared')
    lock_grants.next(base, device)
    interrupt_turn(base, device)
    return 'OK {"agent":null,"held_ms":null,"damaged":["agent","held_ms"]}'
  end
  local record, holder, current, acquired, _, is_grant = live(base, device)
  if not record then return 'NONE' end
  if is_grant then
    -- As if its worker did not answer: its caller waits on, and the next one is granted the lock.
    expire_lock(base, device, record)
    interrupt_turn(base, device)
    return string.format('OK {"agent":"%s","held_ms":0}', holder)
  end
  local held_ms = close(base, device, 'cleared', now_ms, acquired, current, holder, record)
  release_lock(base, device)
  interrupt_turn(base, device)
  return string.format('OK {"agent":"%s","held_ms":%.0f}', holder, held_ms)
end)
