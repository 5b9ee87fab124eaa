-- Makes a reservation for a session in the index of a link, before the session itself has the link.
-- The reservation has a deadline: if the session does not have the link by then, it is removed.
-- `link:<kind>/<ref>` has an entry `<session>/<device>` each, newest last; `live:<kind>/<ref>`
-- those of a user that are live, which a quota counts. A thread has one session, on any device.
-- USES: batch, requests
-- KEYS: the base key of the link's partition, for each request
-- ARGV: kind/ref, session/device, how many may be live or 0 if that does not matter, ms until the
--   reservation is checked
-- RETURNS: OK, FULL

-- The reply with the sessions that there are instead, but for this one.
local function full(entries, entry)
  local others = {}
  for _, other in ipairs(entries) do
    if other ~= entry then others[#others + 1] = other end
  end
  return #others > 0 and 'FULL ' .. table.concat(others, ' ')
end

return each(4, function(base, i)
  local link, entry, most = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local entries, live = base .. ':link:' .. link, base .. ':live:' .. link
  local taken = find(link, '^thread/') and full(call('ZRANGE', entries, 0, 9), entry)
  if taken then return taken end
  local is_counted = most > 0 and call('SISMEMBER', live, entry) == 0
  if is_counted and call('SCARD', live) >= most then return full(call('SMEMBERS', live), entry) end
  -- First what is checked by itself: no write that is refused leaves an entry without a check.
  call('ZADD', base .. ':due', now_ms + ARGV[i + 3], 'r:' .. link .. ' ' .. entry)
  call('ZADD', entries, 0, entry)
  if is_counted then call('SADD', live, entry) end
  local user = string.match(link, '^user/(.+)$')
  if user then regardless(call, 'SADD', base .. ':users', user) end
  return 'OK'
end)
