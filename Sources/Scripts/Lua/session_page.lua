-- The sessions of a partition, by device, after an entry.
-- USES: batch, requests
-- KEYS: the base key of each request's partition
-- ARGV: entry to go on after or empty, how many
-- RETURNS: OK
return each(2, function(base, i)
  local from = ARGV[i] == '' and '-' or '(' .. ARGV[i]
  local found = call('ZRANGEBYLEX', base .. ':sessions', from, '+', 'LIMIT', 0, ARGV[i + 1])
  return 'OK ' .. table.concat(found, ' ')
end)
