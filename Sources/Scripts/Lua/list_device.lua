-- LIST device: the device's sessions, newest first, from a place in that order on.
-- KEYS: the base key of each request's partition
-- ARGV: device, state or empty, how many, cursor or empty
-- RETURNS: OK
return each(4, function(base, i)
  local device, state, limit, cursor = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
  local ids = call('ZREVRANGE', base .. ':sessions:' .. device, 0, -1)
  local found, next_cursor = {}, 'null'
  for _, id in ipairs(ids) do
    -- A session's id begins with its time, so ids are in the order of the list.
    if cursor == '' or id < cursor then
      local s = load(base, device, id)
      if s and (state == '' or s.state == state) then
        if #found == limit then
          next_cursor = '"' .. string.match(found[limit], '"session":"(%w+)"') .. '"'
          break
        end
        found[#found + 1] = record(s)
      end
    end
  end
  return 'OK {"sessions":[' .. table.concat(found, ',') .. '],"cursor":' .. next_cursor .. '}'
end)
