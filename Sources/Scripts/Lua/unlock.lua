-- UNLOCK: the holder releases the lock.
-- USES: batch, requests, lock_closings, locks
-- KEYS: the base key of each request's partition
-- ARGV: device, agent, token?, req?
-- RETURNS: OK, NONE, HELD, STALE
return each(function(base, device, agent, token)
  local record, holder, current, acquired, ends_at = live(base, device)
  if not record then return 'NONE' end
  if holder ~= agent then return held_by(holder, ends_at) end
  if token ~= '' and token ~= current then return stale(holder, ends_at) end
  local held_ms = close(base, device, 'released', now_ms, acquired, current, holder)
  free(base, device)
  return string.format('OK {"held_ms":%.0f}', held_ms)
end)
