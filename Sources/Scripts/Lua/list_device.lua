-- LIST device: the device's sessions, newest first, from a place in that order on. A page ends when
-- it has grown large, or when so many were looked at that Redis has others to serve. Those whose
-- records somebody has damaged are named, and stand in nobody's way.
-- USES: batch, session_index, session_load, session_json
-- KEYS: the base key of each request's partition
-- ARGV: device, state or empty, how many, session to go on after or empty
-- RETURNS: OK
local LOOKED_AT_MAX = 1000
return each(4, function(base, i)
  local device, state, limit, from = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
  local ids = ids_of(base, device, from, LOOKED_AT_MAX + 1)
  local found, damaged, size, shown, next_cursor = {}, {}, 0, nil, 'null'
  for n, id in ipairs(ids) do
    if n > LOOKED_AT_MAX then
      next_cursor = '"' .. ids[n - 1] .. '"'
      break
    end
    local ok, row = pcall(load, base, device, id)
    if ok and row and (state == '' or row.state == state) then
      if #found == limit or size >= PAGE_BYTES then
        next_cursor = '"' .. shown .. '"'
        break
      end
      ok, row = pcall(record, row, '')
      if ok then found[#found + 1], shown, size = row, id, size + #row end
    end
    if not ok then damaged[#damaged + 1], shown = '"' .. device .. '/' .. id .. '"', id end
  end
  local left_out = #damaged > 0 and '"damaged":[' .. table.concat(damaged, ',') .. '],' or ''
  return 'OK {' .. left_out .. '"sessions":[' .. table.concat(found, ',') .. '],"cursor":'
    .. next_cursor .. '}'
end)
