-- The libraries of functions that no worker uses any more: those that no heartbeat has named for
-- long. One that is met for the first time counts as used now: the worker that has loaded it may
-- not have sent a heartbeat yet.
-- USES: nothing
-- KEYS: the libraries' sorted set
-- ARGV: unused_ms, names...
-- RETURNS: the names of the stale ones

return function(keys, unused_ms, names)
  local clock = redis.call('TIME')
  local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
  local libraries, stale = keys[1], {}
  for _, name in ipairs(names) do
    local used_ms = redis.call('ZSCORE', libraries, name)
    -- A time that is ahead is of a clock that has gone back since.
    if not used_ms or used_ms - now_ms > 60000 then
      redis.call('ZADD', libraries, now_ms, name)
    elseif now_ms - used_ms > tonumber(unused_ms) then
      redis.call('ZREM', libraries, name)
      stale[#stale + 1] = name
    end
  end
  return stale
end
