-- Removes an outbox entry for a link's partition, once that is informed; not if there is a newer
-- one.
-- USES: nothing
-- KEYS: the base key of the session's partition
-- ARGV: the entry, the time at which it was due again
-- RETURNS: nothing

return function(KEYS, ARGV)
  local due = KEYS[1] .. ':due'
  if redis.call('ZSCORE', due, ARGV[1]) == ARGV[2] then redis.call('ZREM', due, ARGV[1]) end
  return redis.status_reply('OK')
end
