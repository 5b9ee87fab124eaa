-- How events of a partition get onto a group's page. `reading` is as `claimable` takes it.
-- USES: batch, group_page, group_pending
-- GIVES: give_again, give_fresh

-- An event of another type stays with its consumer; one that was trimmed, or is none, is done.
local function give_again(base, log, reading, pending)
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
local function give_fresh(base, log, reading, is_new)
  while not is_full() do
    local asked, done = room(), {}
    local fresh = call('XREADGROUP', 'GROUP', reading.group, reading.worker, 'COUNT', asked,
      'STREAMS', log, '>')
    if not fresh then return end
    for _, entry in ipairs(fresh[1][2]) do
      if not add_entry(base, entry, is_new) then done[#done + 1] = entry[1] end
    end
    if #done > 0 then call('XACK', log, reading.group, unpack(done)) end
    if #fresh[1][2] < asked then return end
  end
end
