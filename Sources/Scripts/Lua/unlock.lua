-- UNLOCK: the holder releases the lock, or gives it back to the agent that has lent it.
-- USES: batch, requests, lock_ends, locks
-- KEYS: the base key of each request's partition
-- ARGV: device, agent, token?, req?
-- RETURNS: OK, NONE, HELD, STALE
return each(function(base, device, agent, token)
  local record, holder, current, _, ends_at, is_grant = live(base, device)
  if not record then return 'NONE' end
  if holder ~= agent then return held_by(holder, ends_at) end
  if is_grant then return 'NONE' end
  if token ~= '' and token ~= current then return stale(holder, ends_at) end
  local _, held_ms = end_lock(base, device, record, 'released', now_ms)
  return string.format('OK {"held_ms":%.0f}', held_ms)
end)
