-- The pending events of a group, and which of them may be delivered now. A worker holds the events
-- that it has read under its own name as the consumer, until transfer_pending has passed them on:
-- to 'given' once they are with a consumer, to 'returned' if they could not be written. While a
-- worker holds events of a partition the next ones wait, so that a device's order holds; events
-- that it holds for longer than it may are taken from it.
-- USES: batch, stream_ids, group_asks, group_losses, hook_definitions, log_marks
-- GIVES: claim, pending_of, make_group, claimable

-- Pending entries of one consumer that are read in one call.
local PENDING_MAX = 1000

local function claim(log, group, consumer, ids)
  if #ids == 0 then return 0 end
  local words = {'XCLAIM', log, group, consumer, '0'}
  for _, id in ipairs(ids) do words[#words + 1] = id end
  words[#words + 1] = 'JUSTID'
  return #call(unpack(words))
end

-- The entries between two that a consumer has, as a set.
local function pending_of(log, group, consumer, first, last)
  local held, found = attempt('XPENDING', log, group, first, last, 10000, consumer), {}
  for _, entry in ipairs(held.err and {} or held) do found[entry[1]] = true end
  return found
end

-- Makes a group; false if there are as many as there may be. The second result is whether it has
-- lost events, because it was made in this partition before.
local function make_group(base, group, groups_max)
  local log = base .. ':events'
  local known = redis.pcall('XINFO', 'GROUPS', log)
  if not known.err and #known >= groups_max then return false end
  -- The others are notified first, or this one would be twice.
  local names = {}
  for at, other in ipairs(known.err and {} or known) do names[at] = {name = other[2]} end
  log_marks.notify_groups(base, names)
  call('XGROUP', 'CREATE', log, group, '0', 'MKSTREAM')
  local has_lost = group_asks.was_there(base, group)
  group_asks.made(base, group)
  if has_lost then group_losses.begin(log, group) end
  return true, has_lost
end

-- The entries that a consumer has had for so many ms, oldest first.
local function overdue(log, group, name, idle_ms, count)
  count = math.min(count, PENDING_MAX)
  return call('XPENDING', log, group, 'IDLE', idle_ms, '-', '+', count, name)
end

-- The ms until the oldest entry of 'given' is overdue.
local function next_overdue_ms(log, reading)
  local oldest = call('XPENDING', log, reading.group, '-', '+', 1, 'given')[1]
  return math.max(1, reading.ack_timeout_ms - oldest[3])
end

-- The events that may be delivered now, oldest first, and the ms until more may be, or -1; nil
-- while a worker holds some. A worker's name that holds nothing is removed after a while. `reading`
-- has the group's name, the worker that reads, `ack_timeout_ms` and `lease_ms`; with `reads_on`
-- what this worker holds itself keeps nothing from it.
local function claimable(log, reading, consumers)
  local found, again_ms, sources = {}, -1, 0
  for _, consumer in ipairs(consumers) do
    local name, pending, idle_ms = consumer[2], consumer[4], consumer[6]
    local is_worker = name ~= 'given' and name ~= 'returned'
    if pending > 0 then
      local after_ms = is_worker and reading.lease_ms
        or name == 'given' and reading.ack_timeout_ms or 0
      local old = overdue(log, reading.group, name, after_ms, pending)
      local goes_on = reading.reads_on and name == reading.worker
      if is_worker and not goes_on and #old < math.min(pending, PENDING_MAX) then return nil end
      if name == 'given' and #old == 0 then again_ms = next_overdue_ms(log, reading) end
      if #old > 0 then sources = sources + 1 end
      for _, entry in ipairs(old) do
        found[#found + 1] = {id = entry[1], is_given = name == 'given'}
      end
    elseif is_worker and name ~= reading.worker and idle_ms > reading.lease_ms * 20
      and not group_losses.is(name) and not hook_definitions.is(name) then
      call('XGROUP', 'DELCONSUMER', log, reading.group, name)
    end
  end
  if sources > 1 then
    table.sort(found, function(one, other) return is_before(one.id, other.id) end)
  end
  return found, again_ms
end
