-- Registers a worker as alive, with the library that it calls, and reads the names of the live
-- workers. Also keeps a canary: a key that expires before the next heartbeat and is touched then,
-- so that its notification comes at once if notifications come at all.
-- USES: nothing
-- KEYS: the workers' sorted set, the worker's canary, the libraries' sorted set
-- ARGV: worker, dead_after_ms, canary_ms, library?
-- RETURNS: the names of the workers that live

return function(keys, worker, dead_after_ms, canary_ms, library)
  local clock = redis.call('TIME')
  local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
  local workers, canary, libraries = keys[1], keys[2], keys[3]
  redis.call('ZADD', workers, now_ms, worker)
  redis.call('ZREMRANGEBYSCORE', workers, '-inf', now_ms - dead_after_ms)
  redis.call('PEXPIRE', workers, dead_after_ms * 10)
  redis.call('GET', canary)
  redis.call('SET', canary, now_ms, 'PX', canary_ms)
  if library ~= '' then redis.call('ZADD', libraries, now_ms, library) end
  return redis.call('ZRANGE', workers, 0, -1)
end
