-- LIST device: the device's sessions, newest first, from a place in that order on.
-- KEYS: the base key of each request's partition
-- ARGV: device, state or empty, how many, session to go on after or empty
-- RETURNS: OK
return each(4, function(base, i)
  local device, state, limit, from = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
  local ids, found, last, next_cursor = ids_of(base, device), {}, nil, 'null'
  for n = #ids, 1, -1 do
    local s = (from == '' or ids[n] < from) and load(base, device, ids[n])
    if s and (state == '' or s.state == state) then
      if #found == limit then
        next_cursor = '"' .. last .. '"'
        break
      end
      found[#found + 1], last = record(s), s.id
    end
  end
  return 'OK {"sessions":[' .. table.concat(found, ',') .. '],"cursor":' .. next_cursor .. '}'
end)
