-- Registers a worker as alive, with the library that it calls, and reads the names of the live
-- workers. Also keeps a canary: a key that expires before the next heartbeat and is touched then,
-- so that its notification comes at once if notifications come at all.
-- USES: nothing
-- KEYS: the workers' sorted set, the worker's canary, the libraries' sorted set
-- ARGV: the worker, ms after which a silent worker is taken for dead, ms the canary lives, the
--   worker's library of functions or empty
-- RETURNS: the names of the workers that live

return function(KEYS, ARGV)
  local clock = redis.call('TIME')
  local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
  redis.call('ZADD', KEYS[1], now_ms, ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms - ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[2] * 10)
  redis.call('GET', KEYS[2])
  redis.call('SET', KEYS[2], now_ms, 'PX', ARGV[3])
  if ARGV[4] ~= '' then redis.call('ZADD', KEYS[3], now_ms, ARGV[4]) end
  return redis.call('ZRANGE', KEYS[1], 0, -1)
end
