-- A worker claims again the events of a hook that it holds: after `lease_ms` without that another
-- one takes them for those of a dead worker. What it does not hold any more stays where it is.
-- USES: group_pending
-- KEYS: the base key of each event's partition; those of one partition stand together
-- ARGV: group, worker, ids... (stream ids in order)
-- RETURNS: for each event: 1 if the worker holds it, else 0

return function(keys, group, worker, ids)
  local states, first = {}, 1
  while first <= #keys do
    local last = first
    while keys[last + 1] == keys[first] do last = last + 1 end
    local log, claimed = keys[first] .. ':events', {}
    local held = pending_of(log, group, worker, ids[first], ids[last])
    for item = first, last do
      states[item] = held[ids[item]] and 1 or 0
      if held[ids[item]] then claimed[#claimed + 1] = ids[item] end
    end
    claim(log, group, worker, claimed)
    first = last + 1
  end
  return states
end
