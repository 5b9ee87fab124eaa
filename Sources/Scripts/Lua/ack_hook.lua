-- A worker is done with events of a hook. In a partition where the hook was made anew since, its
-- group begins anew, and they stay.
-- USES: group_acks, hook_definitions
-- KEYS: the base key of each event's partition
-- ARGV: group, made (the revision of the HOOK that made the hook), ids... (the stream id of each
--   event)
-- RETURNS: how many were pending

return function(keys, group, made, ids)
  local bases, asked, is_same = {}, {}, {}
  for item, base in ipairs(keys) do
    if is_same[base] == nil then
      is_same[base] = hook_definitions.made(base, group) == tonumber(made)
    end
    if is_same[base] then bases[#bases + 1], asked[#asked + 1] = base, ids[item] end
  end
  return acknowledge(bases, group, asked)
end
