-- The sessions of a link, newest first, after the entry `from`; or with `is_live` a user's live
-- ones, in no order, of which there are as many as its quota allows. Stale entries too. A link is
-- <kind>/<ref>.
-- USES: batch, requests
-- KEYS: the base key of the link's partition, for each request
-- ARGV: link, from?, limit, is_live?
-- RETURNS: OK
return each(function(base, link, from, limit, is_live)
  if is_live ~= '' then
    return 'OK ' .. table.concat(call('SMEMBERS', base .. ':live:' .. link), ' ')
  end
  from = from == '' and '+' or '(' .. from
  local found = call('ZREVRANGEBYLEX', base .. ':link:' .. link, from, '-', 'LIMIT', 0, limit)
  return 'OK ' .. table.concat(found, ' ')
end)
