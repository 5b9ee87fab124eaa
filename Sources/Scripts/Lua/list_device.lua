-- LIST device: the device's sessions, newest first, from a place in that order on. A page ends when
-- it has grown large, or when so many were looked at that Redis has others to serve.
-- KEYS: the base key of each request's partition
-- ARGV: device, state or empty, how many, session to go on after or empty
-- RETURNS: OK
local LOOKED_AT_MAX = 1000
return each(4, function(base, i)
  local device, state, limit, from = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
  local ids = ids_of(base, device, from, LOOKED_AT_MAX + 1)
  local found, size, shown, next_cursor = {}, 0, nil, 'null'
  for n, id in ipairs(ids) do
    if n > LOOKED_AT_MAX then
      next_cursor = '"' .. ids[n - 1] .. '"'
      break
    end
    local s = load(base, device, id)
    if s and (state == '' or s.state == state) then
      if #found == limit or size >= PAGE_BYTES then
        next_cursor = '"' .. shown .. '"'
        break
      end
      found[#found + 1], shown = record(s, ''), id
      size = size + #found[#found]
    end
  end
  return 'OK {"sessions":[' .. table.concat(found, ',') .. '],"cursor":' .. next_cursor .. '}'
end)
