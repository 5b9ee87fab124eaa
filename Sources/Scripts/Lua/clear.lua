-- CLEAR: the operator frees the lock, whichever agent holds it.
-- USES: batch, requests, lock_closings, locks
-- KEYS: the base key of each request's partition
-- ARGV: device, request id or empty
-- RETURNS: OK, NONE
return each(2, function(base, i)
  local device = ARGV[i]
  local record, holder, current, acquired = live(base, device)
  if not record then return 'NONE' end
  local held_ms = close(base, device, 'cleared', now_ms, acquired, current, holder)
  free(base, device)
  return string.format('OK {"agent":"%s","held_ms":%.0f}', holder, held_ms)
end, true)
