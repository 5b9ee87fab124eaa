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
    local asked = {}
    repeat
      asked[ids[last]] = true
      last = last + 1
    until keys[last] ~= keys[first]
    local log = keys[first] .. ':events'
    if asked['0-0'] then group_losses.settle(log, group, target == 'given') end
    local held = redis.pcall('XPENDING', log, group, ids[first], ids[last - 1], 10000, worker)
    local found = {}
    if not held.err then
      for _, entry in ipairs(held) do
        if asked[entry[1]] then found[#found + 1] = entry[1] end
      end
    end
    moved = moved + claim(log, group, target, found)
    first = last
  end
  return moved
end
