-- Keeps a device, or all of a partition (`*`), among those whose changes are published, for so long
-- from now on; NEW if it was not among them, so that changes before this may have gone unpublished.
-- A `mark` follows on the channel: it shows the worker that what is published arrives.
-- USES: batch, requests
-- KEYS: the base key of each request's partition
-- ARGV: device, length_ms
-- RETURNS: OK, NEW
return each(function(base, device, length_ms)
  local watched = base .. ':watched'
  local before = attempt('ZSCORE', watched, device)
  if type(before) == 'table' then
    call('DEL', watched)
    before = nil
  end
  call('ZREMRANGEBYSCORE', watched, '-inf', now_text)
  call('ZADD', watched, 'GT', text(now_ms + length_ms), device)
  call('PEXPIRE', watched, length_ms)
  call('PUBLISH', base .. ':changes' .. (device == '*' and '' or ':' .. device), 'mark')
  return before and tonumber(before) > now_ms and 'OK' or 'NEW'
end)
