-- Deregisters a worker that stops, so that its partitions change hands at once.
-- USES: nothing
-- KEYS: the workers' sorted set
-- ARGV: worker
-- RETURNS: how many were removed

return function(keys, worker)
  return redis.call('ZREM', keys[1], worker)
end
