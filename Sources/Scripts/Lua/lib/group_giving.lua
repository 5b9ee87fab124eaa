-- How events of a partition get onto a group's page. `reading` is as `claimable` takes it.
-- USES: batch, group_page, group_pending
-- GIVES: give_again, give_fresh

-- Events of unwanted types, and entries that are no events, are done for this group.
local function ack_passed(log, group, ids)
  if #ids > 0 then call('XACK', log, group, unpack(ids)) end
end

-- An event of an unwanted type is done, or a thousand of them would be all that each call looks
-- at; so is one that was trimmed.
local function give_again(base, log, reading, pending)
  local claimed, done = {}, {}
  for _, item in ipairs(pending) do
    if is_full() then break end
    local entry = call('XRANGE', log, item.id, item.id)[1]
    if entry then
      local list = add_entry(base, entry, item.is_given) and claimed or done
      list[#list + 1] = item.id
    else
      call('XACK', log, reading.group, item.id)
    end
  end
  ack_passed(log, reading.group, done)
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
