-- Takes a note to a link's partition away, once it has been told; not if there is a newer one.
-- USES: nothing
-- KEYS: the base key of the session's partition
-- ARGV: the note, the time at which it was to be told again
-- RETURNS: nothing

return function(KEYS, ARGV)
  local due = KEYS[1] .. ':due'
  if redis.call('ZSCORE', due, ARGV[1]) == ARGV[2] then redis.call('ZREM', due, ARGV[1]) end
  return redis.status_reply('OK')
end
