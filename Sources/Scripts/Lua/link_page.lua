-- The sessions of a link, newest first, after the entry `from`; stale entries too. A link is
-- <kind>/<ref>.
-- USES: batch, requests
-- KEYS: the base key of the link's partition, for each request
-- ARGV: link, from?, limit
-- RETURNS: OK
return each(function(base, link, from, limit)
  from = from == '' and '+' or '(' .. from
  local found = call('ZREVRANGEBYLEX', base .. ':link:' .. link, from, '-', 'LIMIT', 0, limit)
  return 'OK ' .. table.concat(found, ' ')
end)
