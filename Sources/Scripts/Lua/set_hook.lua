-- HOOK and UNHOOK: keeps the definition of a hook, or removes it with its figures. A key of another
-- type is made anew.
-- USES: batch, hook_keys
-- KEYS: the base key of the first partition
-- ARGV: name, definition?, hooks_max
-- RETURNS: OK, NONE, ERR

local function remove(base, name)
  local removed = attempt('HDEL', hook_keys.definitions(base), name)
  hook_keys.forget(base, name)
  return removed == 1 and 'OK' or 'NONE'
end

return function(keys, name, definition, hooks_max)
  local base = keys[1]
  if definition == '' then return remove(base, name) end
  local hooks = hook_keys.definitions(base)
  local known = attempt('HEXISTS', hooks, name)
  if type(known) == 'table' then call('DEL', hooks) end
  if known ~= 1 and call('HLEN', hooks) >= tonumber(hooks_max) then
    return string.format('ERR quota quota exceeded: %s of %s hooks', hooks_max, hooks_max)
  end
  call('HSET', hooks, name, definition)
  return 'OK'
end
