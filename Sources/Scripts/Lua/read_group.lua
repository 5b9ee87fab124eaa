-- EVENTS * group=: reads a page of a group's events for a consumer: first those that are to be
-- delivered again, then new ones. A new group is made in all partitions, and begins with the oldest
-- event. An entry that is no event is done for the group. A partition whose log is corrupt is
-- passed over. Losses of the group are claimed by a read of all partitions, which reports those of
-- all with the first; another read ends where it meets one. Replies with a line, or an array as
-- `group_page` begins it. A new group is made in several calls of all partitions, before anything
-- is read: MORE.
-- USES: group_asks, group_giving, group_losses, group_making, group_page, group_pending
-- KEYS: the base keys of partitions, in the order in which they are read
-- ARGV: group, ack_timeout_ms, limit, types?, groups_max, worker, lease_ms (how long a worker may
--   hold an event), is_whole? (whether they are all partitions), is_noted? (whether to note that
--   the group has asked), is_made? (whether this read has made it)
-- RETURNS: OK, MORE, ERR

-- The group that is read, as the part of pending events takes it; and whether it is made now.
local reading, is_making

-- Makes the group in a partition; returns a line if there can be no further group.
local function make(base, item)
  is_making = true
  local refusal, has_lost = make_in(base, reading.group, reading.groups_max)
  if has_lost then add_loss(item) end
  return refusal
end

-- Gives what a partition has for the group, or notes why there is nothing; returns a line if there
-- can be no further group.
local function give(base, log, item, consumers, is_new)
  local pending, again_ms = {}, -1
  local refusal = is_new and make(base, item)
  if refusal then return refusal end
  if not is_new then pending, again_ms = claimable(log, reading, consumers) end
  if not pending then return add_blocked(item) end
  add_again(again_ms)
  give_again(base, log, reading, pending)
  give_fresh(base, log, reading, is_new or reading.is_made)
end

return function(keys, group, ack_timeout_ms, limit, types, groups_max, worker, lease_ms, is_whole,
    is_noted, is_made)
  reading = {group = group, worker = worker, ack_timeout_ms = ack_timeout_ms, lease_ms = lease_ms,
    groups_max = tonumber(groups_max), is_made = is_made == 'yes'}
  local refusal = is_whole == 'yes' and make_some(keys, group, reading.groups_max)
  if refusal then return refusal end
  local reply = begin_page(tonumber(limit), types)
  is_making = false
  for item, base in ipairs(keys) do
    local log = base .. ':events'
    if is_full() and not (has_losses() or is_making) then break end
    local consumers = redis.pcall('XINFO', 'CONSUMERS', log, group)
    local is_corrupt = consumers.err and string.find(consumers.err, 'WRONGTYPE', 1, true)
    local is_new = consumers.err and not is_corrupt
    if not consumers.err and group_losses.is_due(reading, consumers) then
      if is_whole ~= 'yes' then return end_at_loss(reply) end
      group_losses.claim(log, reading, consumers)
      add_loss(item)
    end
    if is_corrupt then
      add_corrupt(item)
    elseif not is_full() then
      refusal = give(base, log, item, consumers, is_new)
    elseif is_new and (is_making or group_asks.was_there(base, group)) then
      refusal = make(base, item)
    end
    if refusal then return refusal end
    if not is_full() then add_looked(item) end
    if not consumers.err then add_pending(consumers) end
  end
  if is_noted == 'yes' then group_asks.note(keys, group) end
  return reply
end
