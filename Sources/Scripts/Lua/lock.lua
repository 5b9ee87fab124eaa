-- LOCK: acquires a free device's lock, or starts the TTL of its own holder again.
-- USES: batch, lock_deadlines, lock_begin, lock_holders, locks, renewals
-- RARELY: live, grant, held_by, stale, extend, granted, share_grant
-- KEYS: the record of each request's lock
-- ARGV: agent, lease
-- RETURNS: OK, HELD, STALE, ERR
return each_record(32, function(base, device, seen, agent, ttl, is_asked, token)
  local record, holder, current, acquired, ends_at, is_grant = live(base, device, seen)
  if not record then
    if token ~= '' then return 'STALE {"agent":null}' end
    local fresh, refusal = grant(base, device, agent, ttl)
    return refusal or granted(agent, fresh, ttl, now_text, 'false}')
  end
  if holder ~= agent then return held_by(holder, ends_at) end
  if token ~= '' and token ~= current then return stale(holder, ends_at) end
  if is_grant then return share_grant(base, device, record, ttl) end
  ttl = extend(base, device, record, is_asked and ttl)
  return granted(agent, current, ttl, acquired, 'true}')
end)
