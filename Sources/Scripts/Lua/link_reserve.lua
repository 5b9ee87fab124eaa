-- Makes a reservation for a session in the index of a link, before the session itself has the link.
-- The reservation has a deadline: if the session does not have the link by then, it is removed.
-- `link:<kind>/<ref>` has an entry `<session>/<device>` each, newest last; `live:<kind>/<ref>`
-- those of a user that are live, which a quota counts: 0 if that does not matter. A thread has one
-- session, on any device.
-- USES: batch, requests
-- KEYS: the base key of the link's partition, for each request
-- ARGV: link, entry, quota, check_after_ms
-- RETURNS: OK, FULL

-- The reply with the sessions that there are instead, but for this one.
local function full(entries, entry)
  local others = {}
  for _, other in ipairs(entries) do
    if other ~= entry then others[#others + 1] = other end
  end
  return #others > 0 and 'FULL ' .. table.concat(others, ' ')
end

return each(function(base, link, entry, quota, check_after_ms)
  quota = tonumber(quota)
  local entries, live = base .. ':link:' .. link, base .. ':live:' .. link
  local taken = find(link, '^thread/') and full(call('ZRANGE', entries, 0, 9), entry)
  if taken then return taken end
  local is_counted = quota > 0 and call('SISMEMBER', live, entry) == 0
  if is_counted and call('SCARD', live) >= quota then return full(call('SMEMBERS', live), entry) end
  -- First what is checked by itself: no write that is refused leaves an entry without a check.
  call('ZADD', base .. ':due', now_ms + check_after_ms, 'r:' .. link .. ' ' .. entry)
  call('ZADD', entries, 0, entry)
  if is_counted then call('SADD', live, entry) end
  local user = string.match(link, '^user/(.+)$')
  if user then regardless(call, 'SADD', base .. ':users', user) end
  return 'OK'
end)
