-- ACK: a consumer is done with events; they are not delivered again to its group.
-- USES: nothing
-- KEYS: the base key of each event's partition
-- ARGV: group, then the stream id of each event
-- RETURNS: OK

return function(KEYS, ARGV)
  local acked = 0
  for item = 1, #KEYS do
    acked = acked + redis.call('XACK', KEYS[item] .. ':events', ARGV[1], ARGV[item + 1])
  end
  return 'OK {"acked":' .. acked .. '}'
end
