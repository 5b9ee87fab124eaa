-- A session of a list: its record, NONE if it is gone or does not have the link any more, SKIP if
-- it is in another state than those asked for, LATER if the records of this call are a page.
-- USES: batch, requests, links, session_json
-- KEYS: the base key of each request's partition
-- ARGV: device, session, kind?, ref?, state?
-- RETURNS: OK, NONE, SKIP, LATER

local size, size_in = 0, 0

return each(function(base, device, session, kind, ref, state)
  if size_in ~= call_number then size_in, size = call_number, 0 end
  if size >= PAGE_BYTES then return 'LATER' end
  local key = base .. ':session:' .. device .. '/' .. session
  local seen = (kind ~= '' or state ~= '') and attempt('HMGET', key, 'links', 'state')
  if seen and not seen.err and kind ~= ''
    and not has_link({links = seen[1] or ''}, kind, ref) then
    return 'NONE'
  end
  local row, _, bytes = show(base, device, session)
  if row == 'NONE' then return row end
  if state ~= '' and not is_among(seen[2], state) then return 'SKIP' end
  size = size + bytes
  return row, nil, bytes
end)
