-- How events of a partition get onto a group's page. `reading` is as `claimable` takes it.
-- USES: batch, group_page, group_pending
-- GIVES: give_again, give_fresh

-- Events of unwanted types, and entries that are no events, are done for this group.
local function ack_passed(log, group, ids)
  if #ids > 0 then call('XACK', log, group, unpack(ids)) end
end

-- An event of another type stays with its consumer; one that was trimmed, or is none, is done.
local function give_again(base, log, reading, pending)
  local claimed, left = {}, 0
  for _, item in ipairs(pending) do
    if is_full() then break end
    local entry = call('XRANGE', log, item.id, item.id)[1]
    local is_added = entry and add_entry(base, entry, item.is_given)
    if is_added == nil then
      call('XACK', log, reading.group, item.id)
    elseif is_added then
      claimed[#claimed + 1] = item.id
    else
      left = left + 1
    end
  end
  leave_to_others(left)
  claim(log, reading.group, reading.worker, claimed)
end

local function give_fresh(base, log, reading, is_new)
  while not is_full() do
    local asked, done = room(), {}
    local fresh = call('XREADGROUP', 'GROUP', reading.group, reading.worker, 'COUNT', asked,
      'STREAMS', log, '>')
    if not fresh then return end
    for _, entry in ipairs(fresh[1][2]) do
      if not add_entry(base, entry, is_new) then done[#done + 1] = entry[1] end
    end
    ack_passed(log, reading.group, done)
    add_done(#done)
    if #fresh[1][2] < asked then return end
  end
end
