-- By which definition of a hook its group is read in a partition: the group has a consumer without
-- entries, `definition <made> <changed>`. Both are revisions, which only grow: that of the HOOK
-- that made the hook, and that of the latest one. So a worker with a former definition gets no
-- event that was published since HOOK has replied, and acknowledges none of a hook that was made
-- anew.
-- USES: batch
-- GIVES: hook_definitions

-- The revisions of a group's definition and its consumer's name; nil if there is none.
local function revisions_of(consumers)
  for _, consumer in ipairs(consumers.err and {} or consumers) do
    local made, changed = string.match(consumer[2], '^definition (%d+) (%d+)$')
    if made then return tonumber(made), tonumber(changed), consumer[2] end
  end
end

local function is_definition(name) return find(name, 'definition ', 1, true) == 1 end

-- The group is read by this definition from now on; `former` is the consumer of the one before.
local function keep_definition(log, group, former, made, changed)
  if former then call('XGROUP', 'DELCONSUMER', log, group, former) end
  call('XGROUP', 'CREATECONSUMER', log, group, 'definition ' .. made .. ' ' .. changed)
end

-- The revision of the HOOK that made the hook whose group this is; nil if that is not known.
local function made_of(base, group)
  return (revisions_of(attempt('XINFO', 'CONSUMERS', base .. ':events', group)))
end

-- Removes the group of a hook from a partition's log, unless that was made after `made_max`;
-- returns whether it was there.
local function drop_hook_group(base, group, made_max)
  local made = made_of(base, group)
  if made and made > made_max then return false end
  local removed = attempt('XGROUP', 'DESTROY', base .. ':events', group)
  attempt('HDEL', base .. ':groups', group)
  return removed == 1
end

local hook_definitions = {of = revisions_of, is = is_definition, keep = keep_definition,
  made = made_of, drop = drop_hook_group}
