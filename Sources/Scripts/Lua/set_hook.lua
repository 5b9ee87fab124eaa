-- HOOK and UNHOOK: keeps the definition of a hook, or removes it with its figures. A key of another
-- type is made anew. Each change has a revision, which is larger than all before.
-- USES: batch, hook_keys
-- KEYS: the base key of the first partition
-- ARGV: name, definition?, hooks_max
-- RETURNS: HOOK with OK, or with NONE if there is nothing to remove, and revisions: that which made
--   the hook and that of this change, of a removal that one alone; or ERR

local function remove(base, name)
  local removed = attempt('HDEL', hook_keys.definitions(base), name)
  hook_keys.forget(base, name)
  return (removed == 1 and 'HOOK OK ' or 'HOOK NONE ') .. hook_keys.next_revision(base)
end

return function(keys, name, definition, hooks_max)
  local base = keys[1]
  if definition == '' then return remove(base, name) end
  local hooks = hook_keys.definitions(base)
  local known = attempt('HGET', hooks, name)
  if type(known) == 'table' then call('DEL', hooks) end
  local is_known = type(known) == 'string'
  if not is_known and call('HLEN', hooks) >= tonumber(hooks_max) then
    return string.format('ERR quota quota exceeded: %s of %s hooks', hooks_max, hooks_max)
  end
  local made, former = string.match(is_known and known or '', '^(%d+) (%d+) ')
  local changed = hook_keys.next_revision(base, former)
  made = made or changed
  call('HSET', hooks, name, made .. ' ' .. changed .. ' ' .. definition)
  return 'HOOK OK ' .. made .. ' ' .. changed
end
