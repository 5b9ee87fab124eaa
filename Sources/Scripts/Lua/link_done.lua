-- Removes an outbox entry for a link's partition, once that is informed; not if there is a newer
-- one.
-- USES: nothing
-- KEYS: the base key of the session's partition
-- ARGV: entry, due_at
-- RETURNS: nothing

return function(keys, entry, due_at)
  local due = keys[1] .. ':due'
  if redis.call('ZSCORE', due, entry) == due_at then redis.call('ZREM', due, entry) end
  return redis.status_reply('OK')
end
