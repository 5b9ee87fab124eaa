-- How a new group is made in all partitions: in several calls, since each partition costs as much
-- as ten entries that are read.
-- USES: quotas, group_pending, group_losses
-- GIVES: make_in, make_some

-- A call makes a group in so many partitions.
local MADE_MAX = 64

-- Makes a group in a partition: the line that refuses it, or nil; and whether it has lost events.
local function make_in(base, group, groups_max)
  local is_made, has_lost = make_group(base, group, groups_max)
  if is_made then return nil, has_lost end
  return exceed(groups_max, groups_max, 'groups of the logs')
end

-- Whether a group is in a log; one that is corrupt can have none.
local function is_there(log, group)
  local known = redis.pcall('XINFO', 'CONSUMERS', log, group)
  return not known.err or string.find(known.err, 'WRONGTYPE', 1, true) ~= nil
end

-- Makes a group in some of the partitions, from the last one on: it is new as long as it is not in
-- the first. A loss is left to the read that follows. Returns nil if there was nothing to make,
-- MORE if there was, or a line that refuses it.
local function make_some(keys, group, groups_max)
  if #keys <= MADE_MAX or is_there(keys[1] .. ':events', group) then return nil end
  local left = MADE_MAX
  for item = #keys, 1, -1 do
    local log = keys[item] .. ':events'
    if not is_there(log, group) then
      if left == 0 then break end
      local refusal, has_lost = make_in(keys[item], group, groups_max)
      if refusal then return refusal end
      if has_lost then group_losses.settle(log, group, false) end
      left = left - 1
    end
  end
  return 'MORE'
end
