-- HANDOFF: passes the lock to another agent, with no moment in which it is free. It may go back at
-- its end; without a return of its own the lock keeps the one that it has.
-- USES: batch, requests, lock_records, lock_closings, lock_holders,
--   lock_sharing, locks, log_quota
-- KEYS: the base key of each request's partition
-- ARGV: device, from, to, ttl, token?, note? (JSON), return_ttl?, req?
-- RETURNS: OK, NONE, HELD, STALE, ERR
return each(function(base, device, from, to, ttl, token, note, return_ttl)
  local record, holder, current, acquired, ends_at, is_grant = live(base, device)
  if not record then return 'NONE' end
  if holder ~= from then return held_by(holder, ends_at) end
  if is_grant then return 'NONE' end
  if token ~= '' and token ~= current then return stale(holder, ends_at) end
  local refusal = log_refusal(base, device)
  if refusal then return refusal end
  local more = ',"to":"' .. to .. '"'
  if note ~= '' then more = more .. ',"note":' .. note end
  close(base, device, 'handed_off', now_ms, acquired, current, holder, record, more)
  local _, back, back_ttl = fetch_more(base, device, record)
  if return_ttl ~= '' then back, back_ttl = from, return_ttl end
  local fresh = grant(base, device, to, ttl, record, note, back and back .. ' ' .. back_ttl)
  inform_sharing(base, device, to)
  return granted(to, fresh, ttl, now_ms, 'false}')
end)
