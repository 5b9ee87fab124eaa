-- EVENTS device: the events of one device, oldest first. A page ends when it has grown large.
-- USES: batch, requests, event_json
-- KEYS: the base key of each request's partition
-- ARGV: device, stream id to begin after, how many at most
-- RETURNS: OK

-- So many are read at once: an event may have a note as long as a line.
local STEP = 32

return each(3, function(base, i)
  local device, after, limit = ARGV[i], '(' .. ARGV[i + 1], tonumber(ARGV[i + 2])
  local found, bytes = {}, 0
  repeat
    local chunk = call('XRANGE', base .. ':events', after, '+', 'COUNT', STEP)
    for _, entry in ipairs(chunk) do
      if entry[2][4] == device and #found < limit and bytes < PAGE_BYTES then
        found[#found + 1] = as_json(base, entry[1], entry[2])
        bytes = bytes + #found[#found]
      end
    end
    if #chunk > 0 then after = '(' .. chunk[#chunk][1] end
  until #chunk < STEP or #found >= limit or bytes >= PAGE_BYTES
  return 'OK {"events":[' .. table.concat(found, ',') .. ']}'
end)
