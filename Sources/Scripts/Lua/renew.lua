-- RENEW: starts the holder's TTL again; never acquires.
-- USES: lock_deadlines, locks, renewals
-- RARELY: live, held_by, stale, extend, granted
-- KEYS: the record of each request's lock
-- ARGV: claimant (token and agent), lease
-- RETURNS: OK, NONE, HELD, STALE
return each_record(15, function(base, device, seen, claimant, ttl, is_asked)
  local token, agent = string.match(claimant, '^(%d*) (.*)$')
  local record, holder, current, acquired, ends_at, is_grant = live(base, device, seen)
  if not record then return 'NONE' end
  if holder ~= agent then return held_by(holder, ends_at) end
  if is_grant then return 'NONE' end
  if token ~= current then return stale(holder, ends_at) end
  ttl = extend(base, device, record, is_asked and ttl)
  return granted(agent, current, ttl, acquired, 'true}')
end)
