-- The next messages of a snapshot of a session's current chat, oldest first, of the `last` newest;
-- MORE if the session was changed since the stamp.
-- USES: batch, requests, entry_steps, look_stamps
-- KEYS: the base key of each request's partition
-- ARGV: device, session, last, skipped, stamp
-- RETURNS: OK, MORE

return each(function(base, device, session, last, skipped, stamp)
  local key = base .. ':session:' .. device .. '/' .. session
  if stamp_of(key) ~= stamp then return 'MORE changed' end
  local log, found, size, longest = current_log(key), {}, 0, nil
  local place = math.max(0, call('LLEN', log) - tonumber(last)) + tonumber(skipped)
  repeat
    local step = step_of(PAGE_BYTES - size, longest, math.huge)
    local list = call('LRANGE', log, text(place), text(place + step - 1))
    local bytes
    bytes, longest = bytes_of(list, longest)
    for n = 1, #list do found[#found + 1] = '{"seq":' .. list[n] end
    size, place = size + bytes, place + #list
  until size >= PAGE_BYTES or #list < step
  return 'OK {"messages":[' .. table.concat(found, ',') .. ']}', nil, size
end)
