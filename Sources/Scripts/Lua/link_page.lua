-- The sessions of a link, newest first, after an entry; stale entries too.
-- USES: batch, requests
-- KEYS: the base key of the link's partition, for each request
-- ARGV: kind/ref, entry to go on after or empty, how many
-- RETURNS: OK
return each(3, function(base, i)
  local from = ARGV[i + 1] == '' and '+' or '(' .. ARGV[i + 1]
  local found = call('ZREVRANGEBYLEX', base .. ':link:' .. ARGV[i], from, '-',
    'LIMIT', 0, ARGV[i + 2])
  return 'OK ' .. table.concat(found, ' ')
end)
