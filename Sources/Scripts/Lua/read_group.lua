-- EVENTS * group=: reads a page of a group's events for a consumer: first those that are to be
-- delivered again, then new ones. A new group begins with the oldest event. An entry that is no
-- event is done for the group. Replies with a line, or an array: the page, which is `events`, how
-- many entries were no events, and of each event its id, type, device and other members; 1 if some
-- had to wait for another worker else 0, the ms until one may be delivered again or -1, then the id
-- of each event and its age in ms, -1 if it was given before or the age is unknown.
-- USES: batch, group_page, group_pending
-- KEYS: the base keys of all partitions
-- ARGV: group, ack_timeout_ms, limit, types?, first (the partition to begin at), groups_max,
--   worker, lease_ms (how long a worker may hold an event)
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
    local is_added
    if entry then is_added = add_entry(base, entry, item.is_given) end
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

return function(keys, group, ack_timeout_ms, limit, types, first, groups_max, worker, lease_ms)
  reading = {group = group, worker = worker, ack_timeout_ms = ack_timeout_ms, lease_ms = lease_ms}
  local reply = begin_page(tonumber(limit), types)
  for turn = 0, #keys - 1 do
    if is_full() then break end
    local base = keys[(first + turn) % #keys + 1]
    local log, pending, again_ms = base .. ':events', {}, -1
    local consumers = redis.pcall('XINFO', 'CONSUMERS', log, group)
    local is_new = consumers.err ~= nil
    if is_new and not make_group(log, group, tonumber(groups_max)) then
      return 'ERR quota there are ' .. groups_max .. ' groups already, and no more may be made'
    end
    if not is_new then pending, again_ms = claimable(log, reading, consumers) end
    if pending then
      if again_ms >= 0 and (reply[3] < 0 or again_ms < reply[3]) then reply[3] = again_ms end
      give_again(base, log, pending)
      give_fresh(base, log, is_new)
    else
      reply[2] = 1
    end
  end
  return reply
end
