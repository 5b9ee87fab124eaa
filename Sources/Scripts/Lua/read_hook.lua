-- Reads what the group of a hook has for the worker that delivers these partitions: first what was
-- not acknowledged, then new events. Unlike for a caller's group it may read on while it holds
-- events of a partition; those that another worker holds come first. Where the group is not there
-- it is made with `is_made`, and begins with the oldest event. With a limit of 0 it is only made.
-- A worker reads by the definition that it has, unless the group is read by a later one.
-- USES: batch, group_asks, group_losses, group_pending, hook_definitions, hook_entries
-- KEYS: the base keys of the partitions
-- ARGV: group, worker, lease_ms (how long a worker holds events that it does not claim again),
--   limit, groups_max, is_made?, is_noted? (whether to note that the group has asked), made,
--   changed (the revisions of the definition), lost_max (definitions up to this revision are known
--   to be lost; 0 without one)
-- RETURNS: for each partition that was looked at: its state, which is 1 if it was read to its end,
--   0 if it may have more, 2 while another worker holds events, 3 if the group is not there, 4 if
--   there can be no further group, 5 if it is read by a later definition and -1 if the log is
--   corrupt; 1 if the group has lost events else 0; and the entries, or with 5 the revision

-- The group that is read, as the part of pending events takes it.
local reading

-- Whether the group has lost events of the partition, which the worker is to report.
local function take_loss(log, consumers)
  if not group_losses.is_due(reading, consumers) then return 0 end
  group_losses.claim(log, reading, consumers)
  return 1
end

-- Reads a partition in which the group is.
local function read(base, log, consumers)
  local lost = take_loss(log, consumers)
  local pending = claimable(log, reading, consumers)
  if not pending then return {2, lost, {}} end
  local entries = {}
  hook_entries.again(log, reading, pending, entries)
  local is_at_end = hook_entries.fresh(log, reading, entries)
  return {is_at_end and 1 or 0, lost, entries}
end

-- Makes the group in a partition, or says why not.
local function make(base, is_made)
  if is_made ~= 'yes' then return {3, 0, {}} end
  local is_done, has_lost = make_group(base, reading.group, reading.groups_max)
  if is_done then
    hook_definitions.keep(base .. ':events', reading.group, nil, reading.made, reading.changed)
  end
  return {is_done and 0 or 4, has_lost and 1 or 0, {}}
end

-- Sees to it that the group is read by the worker's definition; if it is not, returns what is said
-- of the partition instead of events. The group of a former hook of this name is made anew.
local function settle(base, log, consumers, is_made)
  local made, changed, former = hook_definitions.of(consumers)
  local own_made, own_changed = tonumber(reading.made), tonumber(reading.changed)
  if changed == own_changed then return nil end
  if changed and changed > math.max(own_changed, reading.lost_max) then
    return {5, 0, {text(changed)}}
  end
  if made and made < own_made and changed < own_changed then
    hook_definitions.drop(base, reading.group, made)
    return make(base, is_made)
  end
  hook_definitions.keep(log, reading.group, former, reading.made, reading.changed)
end

return function(keys, group, worker, lease_ms, limit, groups_max, is_made, is_noted, made, changed,
    lost_max)
  reading = {group = group, worker = worker, lease_ms = lease_ms, ack_timeout_ms = lease_ms,
    groups_max = tonumber(groups_max), reads_on = true, made = made, changed = changed,
    lost_max = tonumber(lost_max)}
  hook_entries.begin(tonumber(limit))
  local found = {}
  for item, base in ipairs(keys) do
    local log = base .. ':events'
    local consumers = redis.pcall('XINFO', 'CONSUMERS', log, group)
    if not consumers.err then
      found[item] = settle(base, log, consumers, is_made)
        or limit == '0' and {0, 0, {}} or read(base, log, consumers)
    elseif string.find(consumers.err, 'WRONGTYPE', 1, true) then
      found[item] = {-1, 0, {}}
    else
      found[item] = make(base, is_made)
    end
    if limit ~= '0' and hook_entries.is_full() then break end
  end
  if is_noted == 'yes' then group_asks.note(keys, group) end
  return found
end
