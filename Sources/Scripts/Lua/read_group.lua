-- EVENTS * group=: reads a page of a group's events for a consumer: first those that are to be
-- delivered again, then new ones. A new group begins with the oldest event. An entry that is no
-- event is done for the group. A partition whose log is corrupt is passed over. Once a loss of the
-- group is met, those of all partitions are reported with it. Replies with a line, or an array: the
-- page, which is `events`, how many entries were no events, 1 if the group has lost events else 0,
-- and of each event its id, type, device and other members; 1 if some had to wait for another
-- worker else 0, the ms until one may be delivered again or -1, the partitions with losses and
-- those that are corrupt, by their place from 0 on; then the id of each event and its age in ms, -1
-- if it was given before or the age is unknown.
-- USES: batch, group_asks, group_losses, group_page, group_pending
-- KEYS: the base keys of all partitions
-- ARGV: group, ack_timeout_ms, limit, types?, first (the partition to begin at), groups_max,
--   worker, lease_ms (how long a worker may hold an event), is_noted? (whether to note that the
--   group has asked)
-- RETURNS: OK, ERR

-- The group that is read, as the part of pending events takes it.
local reading
-- So many are read at once.
local STEP = 16

-- An event of another type stays with its consumer; one that was trimmed, or is none, is done.
local function give_again(base, log, pending)
  local claimed = {}
  for _, item in ipairs(pending) do
    if is_full() then break end
    local entry = call('XRANGE', log, item.id, item.id)[1]
    local is_added = entry and add_entry(base, entry, item.is_given)
    if is_added == nil then
      call('XACK', log, reading.group, item.id)
    elseif is_added then
      claimed[#claimed + 1] = item.id
    end
  end
  claim(log, reading.group, reading.worker, claimed)
end

-- Events of unwanted types are done for this group.
local function give_fresh(base, log, is_new)
  while not is_full() do
    local asked = math.min(STEP, room())
    local fresh = call('XREADGROUP', 'GROUP', reading.group, reading.worker, 'COUNT', asked,
      'STREAMS', log, '>')
    if not fresh then return end
    for _, entry in ipairs(fresh[1][2]) do
      if not add_entry(base, entry, is_new) then call('XACK', log, reading.group, entry[1]) end
    end
    if #fresh[1][2] < asked then return end
  end
end

-- Gives what a partition has for the group, or notes why there is nothing; returns a line if there
-- can be no further group.
local function give(base, log, item, consumers)
  local is_new, pending, again_ms = consumers.err ~= nil, {}, -1
  if is_new and string.find(consumers.err, 'WRONGTYPE', 1, true) then
    return add_corrupt(item)
  elseif is_new and not make_group(log, reading.group, reading.groups_max) then
    return string.format('ERR quota there are %d groups already, and no more may be made',
      reading.groups_max)
  end
  if not is_new then pending, again_ms = claimable(log, reading, consumers) end
  if not pending then return add_blocked() end
  add_again(again_ms)
  give_again(base, log, pending)
  give_fresh(base, log, is_new)
end

return function(keys, group, ack_timeout_ms, limit, types, first, groups_max, worker, lease_ms,
    is_noted)
  reading = {group = group, worker = worker, ack_timeout_ms = ack_timeout_ms, lease_ms = lease_ms,
    groups_max = tonumber(groups_max)}
  local reply = begin_page(tonumber(limit), types)
  for turn = 0, #keys - 1 do
    if is_full() and #reply[4] == 0 then break end
    local item = (first + turn) % #keys
    local base = keys[item + 1]
    local log = base .. ':events'
    local consumers = redis.pcall('XINFO', 'CONSUMERS', log, group)
    if not consumers.err and group_losses.claim(log, reading, consumers) then add_loss(item) end
    local refusal = not is_full() and give(base, log, item, consumers)
    if refusal then return refusal end
  end
  if is_noted == 'yes' then group_asks.note(keys, group) end
  return reply
end
