-- ACK: a consumer is done with events; they are not delivered again to its group.
-- USES: nothing
-- KEYS: the base key of each event's partition
-- ARGV: group, ids... (the stream id of each event)
-- RETURNS: OK

return function(keys, group, ids)
  local acked = 0
  for item = 1, #keys do
    acked = acked + redis.call('XACK', keys[item] .. ':events', group, ids[item])
  end
  return 'OK {"acked":' .. acked .. '}'
end
