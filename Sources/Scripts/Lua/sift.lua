-- A session of a list, as its order needs it: when it was active last; NONE if it is gone or does
-- not have the link any more, SKIP if it does not pass the filter.
-- USES: batch, requests, links, list_filter
-- KEYS: the base key of each request's partition
-- ARGV: device, session, kind?, ref?, filter?
-- RETURNS: OK, NONE, SKIP
return each(function(base, device, session, kind, ref, filter)
  local key = base .. ':session:' .. device .. '/' .. session
  local seen = attempt('HMGET', key, 'links', 'state', 'created', 'active')
  if not seen.err and not seen[2] and call('EXISTS', key) == 0 then return 'NONE' end
  if kind ~= '' and not seen.err and not has_link({links = seen[1] or ''}, kind, ref) then
    return 'NONE'
  end
  if not passes(filter_of(filter), seen) then return 'SKIP' end
  return 'OK ' .. (not seen.err and string.match(seen[4] or '', '^%d+$') or '0')
end)
