-- The end of a caller's wait for a lock: its ticket leaves the queue. With `is_gone` a lock that
-- was granted to it goes to the next one; else MINE says that it was, or that the caller shares it.
-- USES: requests, lock_ends, lock_grants, locks, queue
-- KEYS: the base key of each request's partition
-- ARGV: device, ticket, is_gone?
-- RETURNS: HELD, MINE, NONE
return each(function(base, device, ticket, is_gone)
  queue.leave(base, 'l', device, ticket)
  local record, holder, _, _, ends_at, is_grant = live(base, device)
  if record and lock_grants.ticket_of(base, device, record) == ticket then
    if is_gone == '' then return 'MINE' end
    if is_grant then release_lock(base, device) end
  end
  if is_gone ~= '' then return 'NONE' end
  local agent, sharing = string.match(ticket, '^%S+ %S+ %S+ (%S+) (%S+)$')
  if not record or agent == holder and sharing == '-' and not is_grant then return 'MINE' end
  return held_by(holder, ends_at)
end)
