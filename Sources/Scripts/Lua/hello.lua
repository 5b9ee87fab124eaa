-- Sent when a connection begins: shows that Redis runs scripts and takes writes, and that this
-- namespace was made with the layout that the worker knows. Of a cluster's nodes one has the key of
-- the layout; the others are asked without it.
-- USES: nothing
-- KEYS: the key of the layout
-- ARGV: layout
-- RETURNS: the layout in force, the generation of the library or nothing

return function(keys, layout)
  if not keys[1] then return {layout, GENERATION} end
  local found = redis.call('GET', keys[1])
  if not found then redis.call('SET', keys[1], layout) end
  return {found or layout, GENERATION}
end
