-- HOLDER: says who holds the lock, and changes nothing, not even what is overdue.
-- USES: batch, requests, lock_records
-- KEYS: the base key of each request's partition
-- ARGV: device
-- RETURNS: OK, NONE
return each(1, function(base, i)
  local record = call('GET', record_key(base, ARGV[i]))
  if not record then return 'NONE' end
  local ends_at, _, agent, acquired, _, has_note = read_record(record)
  if ends_at <= now_text then return 'NONE' end
  local reply = 'OK {"agent":"' .. agent .. '","ttl_ms":' .. text(ends_at - now_ms)
    .. ',"acquired_at":' .. acquired
  local note = has_note and call('GET', note_key(base, ARGV[i]))
  if note then reply = reply .. ',"note":' .. note end
  return reply .. '}'
end)
