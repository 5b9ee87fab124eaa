-- Drops old events from a partition's log.
-- USES: batch
-- KEYS: the partition's base key
-- ARGV: how old events may be, in ms
-- RETURNS: how many were dropped

return function(KEYS, ARGV)
  return call('XTRIM', KEYS[1] .. ':events', 'MINID', string.format('%.0f', now_ms - ARGV[1]))
end
