-- Makes a reservation for a session in the index of a link, before the session itself has the link.
-- The reservation has a deadline: if the session does not have the link by then, it is removed.
-- `link:<kind>/<ref>` has an entry `<session>/<device>` each, newest last; `live:<kind>/<ref>`
-- those of a user that are live, which a quota counts.
-- USES: batch, requests
-- KEYS: the base key of the link's partition, for each request
-- ARGV: kind/ref, session/device, how many may be live or 0 if that does not matter, ms until the
--   reservation is checked
-- RETURNS: OK, FULL
return each(4, function(base, i)
  local link, entry, most = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local live = base .. ':live:' .. link
  if most > 0 and call('SISMEMBER', live, entry) == 0 then
    if call('SCARD', live) >= most then
      return 'FULL ' .. table.concat(call('SMEMBERS', live), ' ')
    end
    call('SADD', live, entry)
  end
  local user = string.match(link, '^user/(.+)$')
  if user then call('SADD', base .. ':users', user) end
  call('ZADD', base .. ':link:' .. link, 0, entry)
  call('ZADD', base .. ':due', now_ms + ARGV[i + 3], 'r:' .. link .. ' ' .. entry)
  return 'OK'
end)
