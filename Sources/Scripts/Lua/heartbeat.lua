-- Registers a worker as alive, with the library that it calls, and reads the names of the live
-- workers. Also keeps a canary: a key that expires before the next heartbeat and is touched then,
-- so that its notification comes at once if notifications come at all.
-- Names whose time is ahead, because Redis' clock has gone back since, are dropped: each worker
-- that lives enters its name again. A key of another type is made anew.
-- USES: nothing
-- KEYS: the workers' sorted set, the worker's canary, the libraries' sorted set
-- ARGV: worker, dead_after_ms, canary_ms, library?
-- RETURNS: how many keys were made anew, then the names of the workers that live

local function enter(key, now_ms, name)
  if type(redis.pcall('ZADD', key, now_ms, name)) == 'number' then return 0 end
  redis.call('DEL', key)
  redis.call('ZADD', key, now_ms, name)
  return 1
end

return function(keys, worker, dead_after_ms, canary_ms, library)
  local clock = redis.call('TIME')
  local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
  local workers, canary, libraries = keys[1], keys[2], keys[3]
  local made = enter(workers, now_ms, worker)
  redis.call('ZREMRANGEBYSCORE', workers, '-inf', now_ms - dead_after_ms)
  redis.call('ZREMRANGEBYSCORE', workers, now_ms + dead_after_ms, '+inf')
  redis.call('PEXPIRE', workers, dead_after_ms * 10)
  redis.pcall('GET', canary)
  redis.call('SET', canary, now_ms, 'PX', canary_ms)
  if library ~= '' then made = made + enter(libraries, now_ms, library) end
  return {made, unpack(redis.call('ZRANGE', workers, 0, -1))}
end
