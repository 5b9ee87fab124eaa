-- A session of a list: its record, NONE if it is gone or does not have the link any more, SKIP if
-- it does not pass the filter, LATER if the records of this call are a page, LARGE if it is to be
-- read in parts.
-- USES: batch, requests, links, list_filter, session_reads, session_json, large_sessions
-- KEYS: the base key of each request's partition
-- ARGV: device, session, kind?, ref?, filter?, fields?
-- RETURNS: OK, NONE, SKIP, LATER, LARGE

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
  local wanted = filter_of(filter)
  if seen and not passes(wanted, seen) then return 'SKIP' end
  flat = flat and only_fields(flat, fields) or with_fields(found, fields)
  if not flat then return large_line(device, id, wanted and wanted.users or '', fields, '') end
  local row, _, bytes = shown(device, id, found, flat)
  size = size + bytes
  return row, nil, bytes
end)
