-- Sent when a connection begins: shows that Redis runs scripts and takes writes, and that this
-- namespace was made with the layout that the worker knows.
-- USES: nothing
-- KEYS: the key of the layout
-- ARGV: the worker's layout (number of partitions and version)
-- RETURNS: the layout in force, the generation of the library or nothing

return function(KEYS, ARGV)
  local layout = redis.call('GET', KEYS[1])
  if not layout then
    layout = ARGV[1]
    redis.call('SET', KEYS[1], layout)
  end
  return {layout, GENERATION}
end
