-- HOLDER: says who holds the lock, and changes nothing, not even what is overdue. The worker makes
-- the line: the note is checked there.
-- USES: batch, requests, lock_records, lock_deadlines, queue
-- KEYS: the base key of each request's partition
-- ARGV: device
-- RETURNS: OK, NONE
return each(function(base, device)
  local record = fetch_record(base, device)
  if not record then return 'NONE' end
  local ends_at, _, agent, acquired, ttl = read_record(record)
  local waiting = queue.length(base, 'l', device)
  if not ends_at then return {'holder', '', '', '', 0, false, waiting}, nil, 0 end
  if ends_at <= now_text then return 'NONE' end
  -- Null where there is none: a nil would end the array.
  local note, back = fetch_more(base, device, record)
  local left = is_ahead(ends_at, ttl) and ms_of(ttl) or ends_at - now_ms
  return {'holder', agent, text(left), acquired, note or false, back or false, waiting}, nil,
    #(note or '')
end)
