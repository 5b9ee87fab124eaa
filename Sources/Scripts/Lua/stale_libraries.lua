-- The libraries of functions that no worker uses any more: those that no heartbeat has named for
-- long. One that is met for the first time counts as used now: the worker that has loaded it may
-- not have sent a heartbeat yet.
-- USES: nothing
-- KEYS: the libraries' sorted set
-- ARGV: ms without use after which a library is stale, then the name of each library
-- RETURNS: the names of the stale ones

return function(KEYS, ARGV)
  local clock = redis.call('TIME')
  local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
  local stale = {}
  for n = 2, #ARGV do
    local used_ms = redis.call('ZSCORE', KEYS[1], ARGV[n])
    if not used_ms then
      redis.call('ZADD', KEYS[1], now_ms, ARGV[n])
    elseif now_ms - used_ms > tonumber(ARGV[1]) then
      redis.call('ZREM', KEYS[1], ARGV[n])
      stale[#stale + 1] = ARGV[n]
    end
  end
  return stale
end
