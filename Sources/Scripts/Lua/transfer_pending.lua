-- Transfers events that a worker has read for a group to another consumer of the group: to 'given'
-- once they were written to a caller's connection, to 'returned' if they could not be. Events that
-- the worker does not hold any more stay where they are. The id 0-0 stands for the news that the
-- group has lost events of the partition.
-- USES: group_losses, group_pending
-- KEYS: the base key of each event's partition; those of one partition stand together
-- ARGV: group, worker, target (a consumer), ids... (stream ids in order)
-- RETURNS: how many were transferred

return function(keys, group, worker, target, ids)
  local moved, first = 0, 1
  while first <= #keys do
    local last = first
    while keys[last + 1] == keys[first] do last = last + 1 end
    local log, found = keys[first] .. ':events', {}
    local held = pending_of(log, group, worker, ids[first], ids[last])
    for item = first, last do
      if ids[item] == '0-0' then group_losses.settle(log, group, target == 'given') end
      if held[ids[item]] then found[#found + 1] = ids[item] end
    end
    moved = moved + claim(log, group, target, found)
    first = last + 1
  end
  return moved
end
