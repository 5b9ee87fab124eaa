-- Deregisters a worker that stops, so that its partitions change hands at once.
-- USES: nothing
-- KEYS: the workers' sorted set
-- ARGV: the worker
-- RETURNS: how many were removed

return function(KEYS, ARGV)
  return redis.call('ZREM', KEYS[1], ARGV[1])
end
