-- HOLDER: says who holds the lock, and changes nothing, not even what is overdue.
-- KEYS: the base key of each request's partition
-- ARGV: device
-- RETURNS: OK, NONE
return each(1, function(base, i)
  local record = call('HGET', base .. ':locks', ARGV[i])
  if not record then return 'NONE' end
  local ends_at, acquired, agent, note =
    string.match(record, '^(%d+) (%d+) %d+ (%S+) ?(.*)$')
  if tonumber(ends_at) <= now_ms then return 'NONE' end
  local reply = string.format('OK {"agent":"%s","ttl_ms":%.0f,"acquired_at":%s',
    agent, ends_at - now_ms, acquired)
  if note ~= '' then reply = reply .. ',"note":' .. note end
  return reply .. '}'
end)
