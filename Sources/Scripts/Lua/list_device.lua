-- LIST device: the device's sessions, newest first, from the session `from` on. A page ends when
-- it has grown large, or when so many were read that Redis has other requests to serve. A session
-- that is to be read in parts is a page of its own: LARGE.
-- USES: batch, requests, session_index, session_json, large_sessions, list_filter
-- KEYS: the base key of each request's partition
-- ARGV: device, filter?, fields?, limit, from?
-- RETURNS: OK, LARGE
local LOOKED_AT_MAX = 1000
-- For a caller who may not see some of them the cursor names none, only the time of the last one:
-- the others of this ms, of which there are few, are looked at too.
local SAME_TIME_MAX = 64

return each(function(base, device, filter, fields, limit, from)
  limit, filter = tonumber(limit), filter_of(filter)
  local ids = ids_of(base, device, from, LOOKED_AT_MAX + SAME_TIME_MAX)
  local found, size, last, cursor = {}, 0, nil, ''
  for n, id in ipairs(ids) do
    local is_limited = filter and filter.users ~= ''
    if n > LOOKED_AT_MAX and not (is_limited and cut(id, 1, 10) == cut(ids[n - 1], 1, 10)) then
      cursor = is_limited and cut(ids[n - 1], 1, 10) .. string.rep('0', 16) or ids[n - 1]
      break
    end
    local key = base .. ':session:' .. device .. '/' .. id
    local shows = not filter
      or passes(filter, attempt('HMGET', key, 'links', 'state', 'created', 'active'))
    if shows and (#found == limit or size >= PAGE_BYTES) and call('EXISTS', key) == 1 then
      cursor = last
      break
    end
    local in_parts, flat = shows and is_large(key), nil
    if in_parts then
      flat = with_fields(key, fields)
    elseif shows then
      flat = attempt('HGETALL', key)
      flat = (flat.err or #flat > 0) and only_fields(flat, fields)
    end
    if in_parts and not flat then
      local users = filter and filter.users or ''
      if #found == 0 then return large_line(device, id, users, fields, 'list') end
      cursor = last
      break
    end
    if flat then
      local row, _, bytes = shown(device, id, key, flat)
      found[#found + 1], last, size = row, id, size + bytes
    end
  end
  return {'list', cursor, found}, nil, size
end)
