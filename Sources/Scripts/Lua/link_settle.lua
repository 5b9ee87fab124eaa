-- Writes a session's status (live, kept, gone or freed) into a link's partition, as it was read in
-- the session's; `check_at` is the time of the next check, in ms. A reading
-- that is older than the last one changes nothing: the entry's next check is set from the time of
-- reading, which orders the readings. A session that is not there is gone, unless its reservation
-- was made a moment ago: then it may be about to come, and only the request that made the
-- reservation knows that it will not (freed). Such an entry's check is at a whole ms.
-- USES: batch, requests
-- KEYS: the base key of the link's partition, for each request
-- ARGV: link, entry, status, check_at
-- RETURNS: OK, OLD
return each(function(base, link, entry, status, check_at)
  local due, member = base .. ':due', 'r:' .. link .. ' ' .. entry
  local known = tonumber(call('ZSCORE', due, member) or 0)
  local is_coming = known > now_ms and known % 1 == 0
  if known > tonumber(check_at) or is_coming and status == 'gone' then return 'OLD' end
  local entries, live = base .. ':link:' .. link, base .. ':live:' .. link
  local user = string.match(link, '^user/(.+)$')
  if user and status == 'live' then call('SADD', live, entry) else call('SREM', live, entry) end
  if status == 'live' or status == 'kept' then
    call('ZADD', entries, 0, entry)
    call('ZADD', due, check_at, member)
    if user then regardless(call, 'SADD', base .. ':users', user) end
    return 'OK'
  end
  call('ZREM', due, member)
  call('ZREM', entries, entry)
  if user and call('EXISTS', entries) == 0 then regardless(call, 'SREM', base .. ':users', user) end
  return 'OK'
end)
