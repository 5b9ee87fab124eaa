-- HOOKS: how far the groups of hooks are behind in some partitions. A log that is corrupt or not
-- there counts as read.
-- USES: batch, stream_ids
-- KEYS: the base keys of the partitions
-- ARGV: prefix (that of the groups of hooks)
-- RETURNS: a line for each: OK, and of each such group its name, how many events it has not
--   acknowledged, and the time of the oldest in ms or 0

-- So many unread entries are counted at most, where Redis does not say how many there are.
local COUNT_MAX = 1000

local function unread(log, group)
  for at = 1, #group, 2 do
    if group[at] == 'lag' and type(group[at + 1]) == 'number' then return group[at + 1] end
  end
  return #call('XRANGE', log, '(' .. group[8], '+', 'COUNT', COUNT_MAX)
end

-- The id of the oldest entry that the group has not acknowledged, or nil.
local function oldest(log, group)
  local pending = group[6] > 0 and call('XPENDING', log, group[2], '-', '+', 1)[1]
  local fresh = call('XRANGE', log, '(' .. group[8], '+', 'COUNT', 1)[1]
  local first, next_id = pending and pending[1], fresh and fresh[1]
  if first and next_id then return is_before(first, next_id) and first or next_id end
  return first or next_id
end

return function(keys, prefix)
  local lines = {}
  for item, base in ipairs(keys) do
    local log, words = base .. ':events', {'OK'}
    local groups = attempt('XINFO', 'GROUPS', log)
    for _, group in ipairs(groups.err and {} or groups) do
      if string.sub(group[2], 1, #prefix) == prefix then
        local id = oldest(log, group)
        local count = id and math.max(1, group[6] + unread(log, group)) or 0
        words[#words + 1] = group[2] .. ' ' .. count .. ' '
          .. (id and string.match(id, '^%d+') or 0)
      end
    end
    lines[item] = table.concat(words, ' ')
  end
  return lines
end
