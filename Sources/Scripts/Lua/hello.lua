-- Sent when a link has connected: shows that Redis runs scripts and takes writes, and that this
-- namespace was made with the layout that the worker knows.
-- USES: nothing
-- KEYS: the key of the layout
-- ARGV: the worker's layout (number of partitions and version)
-- RETURNS: the layout in force
local layout = redis.call('GET', KEYS[1])
if not layout then
  layout = ARGV[1]
  redis.call('SET', KEYS[1], layout)
end
return layout
