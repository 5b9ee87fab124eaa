-- CLEAR: the operator frees the lock, whichever agent holds it, and removes a record that is
-- corrupt. The turn of an agent is interrupted.
-- USES: batch, requests, lock_closings, locks, turn_ends
-- KEYS: the base key of each request's partition
-- ARGV: device, req?
-- RETURNS: OK, NONE
return each(function(base, device)
  if is_corrupt_lock(base, device) then
    close_corrupt(base, device, 'cleared')
    interrupt_turn(base, device)
    return 'OK {"agent":null,"held_ms":null,"damaged":["agent","held_ms"]}'
  end
  local record, holder, current, acquired = live(base, device)
  if not record then return 'NONE' end
  local held_ms = close(base, device, 'cleared', now_ms, acquired, current, holder)
  free(base, device)
  interrupt_turn(base, device)
  return string.format('OK {"agent":"%s","held_ms":%.0f}', holder, held_ms)
end)
