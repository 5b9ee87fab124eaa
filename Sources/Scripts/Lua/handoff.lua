-- HANDOFF: passes the lock to another agent, with no moment in which it is free.
-- USES: batch, requests, lock_closings, locks
-- KEYS: the base key of each request's partition
-- ARGV: device, from, to, ttl, token or empty, note (JSON) or empty, request id or empty
-- RETURNS: OK, NONE, HELD, STALE
return each(7, function(base, i)
  local device, from, to, ttl = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local token, note = ARGV[i + 4], ARGV[i + 5]
  local record, holder, current, acquired, ends_at = live(base, device)
  if not record then return 'NONE' end
  if holder ~= from then return held_by(holder, ends_at) end
  if token ~= '' and token ~= current then return stale(holder, ends_at) end
  local more = ',"to":"' .. to .. '"'
  if note ~= '' then more = more .. ',"note":' .. note end
  close(base, device, 'handed_off', now_ms, acquired, current, holder, more)
  return granted(to, grant(base, device, to, ttl, record, note), ttl, now_ms, 'false}')
end, true)
