-- Writes a session's status into a link's partition, as it was read in the session's. A reading
-- that is older than the last one changes nothing: the entry's next check is set from the time of
-- reading, which orders the readings. A session that is not there is gone, unless its reservation
-- was made a moment ago: then it may be about to come, and only the request that made the
-- reservation knows that it will not (freed). Such an entry's check is at a whole ms.
-- USES: batch, requests
-- KEYS: the base key of the link's partition, for each request
-- ARGV: kind/ref, session/device, live or kept or gone or freed, the next check in ms
-- RETURNS: OK, OLD
return each(4, function(base, i)
  local link, entry, now_is, check = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local due, member = base .. ':due', 'r:' .. link .. ' ' .. entry
  local known = tonumber(call('ZSCORE', due, member) or 0)
  local is_coming = known > now_ms and known % 1 == 0
  if known > tonumber(check) or is_coming and now_is == 'gone' then return 'OLD' end
  local entries, live = base .. ':link:' .. link, base .. ':live:' .. link
  local user = string.match(link, '^user/(.+)$')
  if user and now_is == 'live' then call('SADD', live, entry) else call('SREM', live, entry) end
  if now_is == 'live' or now_is == 'kept' then
    call('ZADD', entries, 0, entry)
    call('ZADD', due, check, member)
    if user then call('SADD', base .. ':users', user) end
    return 'OK'
  end
  call('ZREM', due, member)
  call('ZREM', entries, entry)
  if user and call('EXISTS', entries) == 0 then call('SREM', base .. ':users', user) end
  return 'OK'
end)
