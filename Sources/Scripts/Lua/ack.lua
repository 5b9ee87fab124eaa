-- ACK: a consumer is done with events; they are not delivered again to its group.
-- USES: group_acks
-- KEYS: the base key of each event's partition
-- ARGV: group, ids... (the stream id of each event)
-- RETURNS: OK

return function(keys, group, ids)
  return 'OK {"acked":' .. acknowledge(keys, group, ids) .. '}'
end
