-- The sessions of a partition, by device, after the entry `from`.
-- USES: batch, requests
-- KEYS: the base key of each request's partition
-- ARGV: from?, limit
-- RETURNS: OK
return each(function(base, from, limit)
  from = from == '' and '-' or '(' .. from
  local found = call('ZRANGEBYLEX', base .. ':sessions', from, '+', 'LIMIT', 0, limit)
  return 'OK ' .. table.concat(found, ' ')
end)
