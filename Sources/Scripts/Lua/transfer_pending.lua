-- Transfers events that a worker has read for a group to another consumer of the group: to 'given'
-- once they were written to a caller's connection, to 'returned' if they could not be. Events that
-- the worker does not hold any more stay where they are.
-- USES: group_pending
-- KEYS: the base key of each event's partition; those of one partition stand together
-- ARGV: group, worker, consumer to transfer to, then the stream id of each event, in order
-- RETURNS: how many were transferred

return function(KEYS, ARGV)
  local group, worker, target = ARGV[1], ARGV[2], ARGV[3]
  local moved, first = 0, 1
  while first <= #KEYS do
    local last = first
    local asked = {}
    repeat
      asked[ARGV[3 + last]] = true
      last = last + 1
    until KEYS[last] ~= KEYS[first]
    local log = KEYS[first] .. ':events'
    local held = redis.pcall('XPENDING', log, group, ARGV[3 + first], ARGV[2 + last], 10000, worker)
    local ids = {}
    if not held.err then
      for _, entry in ipairs(held) do
        if asked[entry[1]] then ids[#ids + 1] = entry[1] end
      end
    end
    moved = moved + claim(log, group, target, ids)
    first = last
  end
  return moved
end
