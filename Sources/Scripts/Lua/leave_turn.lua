-- The end of a caller's wait for a turn: its ticket leaves the queue. With `is_gone` a turn that
-- was granted to it goes to the next one, and one that settles waits for a retry alone; else MINE
-- says that it was granted.
-- USES: requests, queue, turn_grants, turn_settling, turn_ends, turn_shown
-- KEYS: the base key of each request's partition
-- ARGV: device, ticket, is_gone?
-- RETURNS: BUSY, MINE
return each(function(base, device, ticket, is_gone)
  local ahead = queue.leave(base, 't', device, ticket)
  local t = live_turn(base, device)
  if t and t.ticket == ticket then
    if is_gone == '' then return 'MINE' end
    end_turn(t, 'done')
    t = turn_grants.next(base, device)
  elseif t and is_gone ~= '' then
    turn_settling.leave(t, ticket)
  end
  return busy(t, ahead or queue.length(base, 't', device))
end)
