-- ACK: a consumer is done with events; they are not delivered again to its group. Those of a log
-- that is corrupt count as not pending.
-- USES: batch, log_upkeep
-- KEYS: the base key of each event's partition
-- ARGV: group, ids... (the stream id of each event)
-- RETURNS: OK

return function(keys, group, ids)
  local acked, done = 0, {}
  for item = 1, #keys do
    local count = attempt('XACK', keys[item] .. ':events', group, ids[item])
    if type(count) == 'number' and count > 0 then
      acked, done[keys[item]] = acked + count, true
    end
  end
  -- A log that is full may have room now.
  for base in pairs(done) do
    if type(attempt('HGET', base .. ':ledger', 'log_full')) == 'string' then attend_log(base) end
  end
  return 'OK {"acked":' .. acked .. '}'
end
