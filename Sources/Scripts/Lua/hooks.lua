-- The hooks of the fleet, and their figures. A key of another type counts as none.
-- USES: batch, hook_keys
-- KEYS: the base key of the first partition
-- ARGV: nothing
-- RETURNS: the time in ms, the names and definitions in turn, the fields and values of figures in
--   turn

local function all(key)
  local found = attempt('HGETALL', key)
  return found.err and {} or found
end

return function(keys)
  return {now_text, all(hook_keys.definitions(keys[1])), all(hook_keys.figures(keys[1]))}
end
