-- The next messages of a snapshot of a session's current chat, oldest first, of the `last` newest;
-- MORE if the session was changed since the stamp.
-- USES: batch, requests, look_stamps
-- KEYS: the base key of each request's partition
-- ARGV: device, session, last, skipped, stamp
-- RETURNS: OK, MORE

-- A page ends when it has grown so large.
local BYTES, STEP = 1048576, 16

return each(function(base, device, session, last, skipped, stamp)
  local key = base .. ':session:' .. device .. '/' .. session
  if stamp_of(key) ~= stamp then return 'MORE changed' end
  local log, found, size = current_log(key), {}, 0
  local place = math.max(0, call('LLEN', log) - tonumber(last)) + tonumber(skipped)
  repeat
    local list = call('LRANGE', log, text(place), text(place + STEP - 1))
    for _, entry in ipairs(list) do
      if size < BYTES then
        found[#found + 1], size = '{"seq":' .. entry, size + #entry
      end
    end
    place = place + #list
  until size >= BYTES or #list < STEP
  return 'OK {"messages":[' .. table.concat(found, ',') .. ']}', nil, size
end)
