-- HANDOFF: passes the lock to another agent, with no moment in which it is free.
-- USES: batch, requests, lock_closings, locks, log_quota
-- KEYS: the base key of each request's partition
-- ARGV: device, from, to, ttl, token?, note? (JSON), req?
-- RETURNS: OK, NONE, HELD, STALE, ERR
return each(function(base, device, from, to, ttl, token, note)
  local record, holder, current, acquired, ends_at = live(base, device)
  if not record then return 'NONE' end
  if holder ~= from then return held_by(holder, ends_at) end
  if token ~= '' and token ~= current then return stale(holder, ends_at) end
  local refusal = log_refusal(base, device)
  if refusal then return refusal end
  local more = ',"to":"' .. to .. '"'
  if note ~= '' then more = more .. ',"note":' .. note end
  close(base, device, 'handed_off', now_ms, acquired, current, holder, more)
  return granted(to, grant(base, device, to, ttl, record, note), ttl, now_ms, 'false}')
end)
