-- The sessions of a partition with their activity in a range of times, the last one first; as the
-- index has it.
-- USES: batch, requests
-- KEYS: the base key of each request's partition
-- ARGV: high (ms or +inf), low (ms or -inf), limit
-- RETURNS: OK
return each(function(base, high, low, limit)
  local found = attempt('ZRANGE', base .. ':activity', high, low, 'BYSCORE', 'REV', 'LIMIT', '0',
    limit, 'WITHSCORES')
  -- A key of another type is put right by the reaper.
  if found.err and find(found.err, 'WRONGTYPE', 1, true) then return 'OK ' end
  if found.err then error(found, 0) end
  return 'OK ' .. table.concat(found, ' ')
end)
