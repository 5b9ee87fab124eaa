-- The consumer groups of a log: what they have not acknowledged, and what they have lost. A group
-- that has lost events has a consumer `lost`, until that has been reported to one that asks.
-- USES: batch, stream_ids, group_asks
-- GIVES: log_groups

-- Entries that are no longer in the log are not pending: those before `first`, or all.
local function forget_pending(log, name, first)
  local ids = {}
  local last = first and '(' .. first or '+'
  for _, entry in ipairs(call('XPENDING', log, name, '-', last, 1000)) do
    ids[#ids + 1] = entry[1]
  end
  if #ids > 0 then call('XACK', log, name, unpack(ids)) end
end

-- The id from which on a group has entries that it has not acknowledged.
local function unacknowledged(log, name, delivered, pending, first)
  local oldest = pending > 0 and call('XPENDING', log, name, '-', '+', 1)[1]
  if oldest and (not first or is_before(oldest[1], first)) then
    forget_pending(log, name, first)
    oldest = call('XPENDING', log, name, '-', '+', 1)[1]
  end
  return oldest and oldest[1] or id_after(delivered)
end

-- The groups of a log. The second result is the id from which on the log waits for one that has
-- asked within GROUP_KEEP_MS, or nil; the third is how many entries are pending.
local function groups_of(base, log)
  local groups, held, pending, first = {}, nil, 0, nil
  local known = attempt('XINFO', 'GROUPS', log)
  for _, group in ipairs(known.err and {} or known) do
    if group[6] > 0 and not first then
      first = call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
      first = first and first[1]
    end
    local from = unacknowledged(log, group[2], group[8], group[6], first)
    local is_awaited = now_ms - group_asks.at(base, group[2]) < GROUP_KEEP_MS
    if is_awaited and (not held or is_before(from, held)) then held = from end
    groups[#groups + 1] = {name = group[2], from = from, is_awaited = is_awaited}
    pending = pending + group[6]
  end
  return groups, held, pending
end

-- Notes the oldest entry that each group has not acknowledged, before entries are dropped; without
-- `is_all` only of the groups that the log does not wait for.
local function find_unread(log, groups, is_all)
  for _, group in ipairs(groups) do
    local entry = (is_all or not group.is_awaited)
      and call('XRANGE', log, group.from, '+', 'COUNT', 1)[1]
    group.unread = entry and entry[1]
  end
end

-- Notes the losses of groups after all before `first` was dropped, or everything.
local function report_losses(log, groups, first)
  for _, group in ipairs(groups) do
    if group.unread and (not first or is_before(group.unread, first)) then
      call('XGROUP', 'CREATECONSUMER', log, group.name, 'lost')
      forget_pending(log, group.name, first)
      group.unread = nil
    end
  end
end

local log_groups = {of = groups_of, find_unread = find_unread, report_losses = report_losses}
