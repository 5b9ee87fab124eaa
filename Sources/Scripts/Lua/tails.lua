-- The present ends of the logs: a reader that begins here misses no later event.
-- USES: nothing
-- KEYS: the base keys of partitions
-- ARGV: nothing
-- RETURNS: the id of each log's latest event; empty for a log that is corrupt

return function(keys)
  local tails = {}
  for item = 1, #keys do
    local latest = redis.pcall('XREVRANGE', keys[item] .. ':events', '+', '-', 'COUNT', 1)
    tails[item] = latest.err and '' or latest[1] and latest[1][1] or '0-0'
  end
  return tails
end
