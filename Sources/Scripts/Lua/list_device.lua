-- LIST device: the device's sessions, newest first, from the session `from` on. A page ends when
-- it has grown large, or when so many were read that Redis has other requests to serve.
-- USES: batch, requests, session_index, session_json, list_filter
-- KEYS: the base key of each request's partition
-- ARGV: device, filter?, fields?, limit, from?
-- RETURNS: OK
local LOOKED_AT_MAX = 1000
return each(function(base, device, filter, fields, limit, from)
  limit, filter = tonumber(limit), filter_of(filter)
  local ids = ids_of(base, device, from, LOOKED_AT_MAX + 1)
  local found, size, last, cursor = {}, 0, nil, ''
  for n, id in ipairs(ids) do
    if n > LOOKED_AT_MAX then
      cursor = ids[n - 1]
      break
    end
    local key = base .. ':session:' .. device .. '/' .. id
    local shows = not filter
      or passes(filter, attempt('HMGET', key, 'links', 'state', 'created', 'active'))
    local flat = shows and attempt('HGETALL', key)
    if flat and (flat.err or #flat > 0) then
      if #found == limit or size >= PAGE_BYTES then
        cursor = last
        break
      end
      local row, _, bytes = shown(device, id, key, only_fields(flat, fields))
      found[#found + 1], last, size = row, id, size + bytes
    end
  end
  return {'list', cursor, found}, nil, size
end)
