-- Sent when a link has connected: shows that Redis runs scripts and takes writes, and that this
-- namespace was made with as many partitions as the worker has.
-- KEYS: the key of the number of partitions
-- ARGV: the worker's number of partitions
-- RETURNS: the number of partitions in force
local count = redis.call('GET', KEYS[1])
if not count then
  count = ARGV[1]
  redis.call('SET', KEYS[1], count)
end
return count
