-- UNHOOK: removes the group of a hook from the logs of some partitions; they wait for it no more.
-- USES: hook_definitions
-- KEYS: the base keys of the partitions
-- ARGV: group, made_max (the group of a hook that was made by a later revision stays)
-- RETURNS: how many had it

return function(keys, group, made_max)
  local dropped = 0
  for _, base in ipairs(keys) do
    if hook_definitions.drop(base, group, tonumber(made_max)) then dropped = dropped + 1 end
  end
  return dropped
end
