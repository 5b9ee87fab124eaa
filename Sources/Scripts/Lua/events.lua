-- EVENTS device: what the log has of one device, oldest first.
-- KEYS: the base key of each request's partition
-- ARGV: device, stream id to begin after, how many at most
-- RETURNS: OK
return each(3, function(base, i)
  local device, after, limit = ARGV[i], '(' .. ARGV[i + 1], tonumber(ARGV[i + 2])
  local found = {}
  repeat
    local chunk = call('XRANGE', base .. ':events', after, '+', 'COUNT', 256)
    for _, entry in ipairs(chunk) do
      if entry[2][4] == device and #found < limit then
        found[#found + 1] = as_json(base, entry[1], entry[2])
      end
    end
    if #chunk > 0 then after = '(' .. chunk[#chunk][1] end
  until #chunk < 256 or #found >= limit
  return 'OK {"events":[' .. table.concat(found, ',') .. ']}'
end)
