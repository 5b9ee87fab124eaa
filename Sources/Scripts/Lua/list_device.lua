-- LIST device: the device's sessions, newest first, from the session `from` on. A page ends when
-- it has grown large, or when so many were read that Redis has other requests to serve. A session
-- that is to be read in parts is a page of its own: LARGE. With `so_far`, `0 0 ` at the beginning,
-- a page is read in several calls: MORE with where the next one goes on, what it gets as `so_far`,
-- and the sessions up to there; `limit` is how many may still be shown.
-- USES: batch, requests, session_index, session_json, large_sessions, list_filter, list_steps
-- KEYS: the base key of each request's partition
-- ARGV: device, filter?, fields?, limit, from?, so_far?
-- RETURNS: OK, MORE, LARGE

-- For a caller who may not see some of them the cursor names none, only the time of the last one:
-- the others of this ms, of which there are few, are looked at too.
local SAME_TIME_MAX = 64

return each(function(base, device, filter, fields, limit, from, so_far)
  limit, filter = tonumber(limit), filter_of(filter)
  local page, is_limited = begin_list(so_far), filter and filter.users ~= ''
  local ids = ids_of(base, device, from, page.most + SAME_TIME_MAX)
  local found, cursor = {}, ''
  for n, id in ipairs(ids) do
    local before = ids[n - 1] or from
    if page.looked >= LIST_LOOKS_MAX then
      if not (is_limited and cut(id, 1, 10) == cut(before, 1, 10)) then
        cursor = is_limited and cut(before, 1, 10) .. string.rep('0', 16) or before
        break
      end
    elseif n > page.most then
      return {'list', before, found, text_of_list(page)}, nil, page.size
    end
    look_at(page)
    local key = base .. ':session:' .. device .. '/' .. id
    local shows = not filter
      or passes(filter, attempt('HMGET', key, 'links', 'state', 'created', 'active'))
    if shows and (#found == limit or page.size >= PAGE_BYTES) and call('EXISTS', key) == 1 then
      cursor = page.last
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
      if not page.last then return large_line(device, id, users, fields, 'list') end
      cursor = page.last
      break
    end
    if flat then
      local row, _, bytes = shown(device, id, key, flat)
      found[#found + 1], page.last, page.size = row, id, page.size + bytes
    end
  end
  return {'list', cursor, found}, nil, page.size
end)
