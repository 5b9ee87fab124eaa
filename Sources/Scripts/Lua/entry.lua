-- A session of a list: its record, NONE if it is gone or does not have the link any more, SKIP if
-- it does not pass the filter, LATER if the records of this call are a page.
-- USES: batch, requests, links, list_filter, session_json
-- KEYS: the base key of each request's partition
-- ARGV: device, session, kind?, ref?, filter?, fields?
-- RETURNS: OK, NONE, SKIP, LATER

local size, size_in = 0, 0

return each(function(base, device, session, kind, ref, filter, fields)
  if size_in ~= call_number then size_in, size = call_number, 0 end
  if size >= PAGE_BYTES then return 'LATER' end
  local key = base .. ':session:' .. device .. '/' .. session
  local seen = (kind ~= '' or filter ~= '')
    and attempt('HMGET', key, 'links', 'state', 'created', 'active')
  if seen and not seen.err and kind ~= ''
    and not has_link({links = seen[1] or ''}, kind, ref) then
    return 'NONE'
  end
  local id, found, flat = find_members(base, device, session)
  if not id then return 'NONE' end
  if seen and not passes(filter_of(filter), seen) then return 'SKIP' end
  local row, _, bytes = shown(device, id, found, only_fields(flat, fields))
  size = size + bytes
  return row, nil, bytes
end)
