-- Drops old events from a partition's log.
-- USES: batch
-- KEYS: the partition's base key
-- ARGV: age_max_ms
-- RETURNS: how many were dropped

return function(keys, age_max_ms)
  return call('XTRIM', keys[1] .. ':events', 'MINID', string.format('%.0f', now_ms - age_max_ms))
end
