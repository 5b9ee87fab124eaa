-- UNHOOK: removes a group from the logs of some partitions; they wait for it no more.
-- USES: batch
-- KEYS: the base keys of the partitions
-- ARGV: group
-- RETURNS: how many had it

return function(keys, group)
  local dropped = 0
  for _, base in ipairs(keys) do
    local removed = attempt('XGROUP', 'DESTROY', base .. ':events', group)
    if removed == 1 then dropped = dropped + 1 end
    attempt('HDEL', base .. ':groups', group)
  end
  return dropped
end
