-- REPORT of a session: the members for its age, its messages, how long answers took, and for how
-- long it was in each state.
-- USES: batch, requests, session_reads, session_json, list_filter, session_fields
-- KEYS: the base key of each request's partition
-- ARGV: device, session?
-- RETURNS: OK, NONE
local REPORT = -3
return each(function(base, device, session)
  local id, key, flat = find_members(base, device, session)
  if not id then return 'NONE' end
  flat = flat and only_fields(flat, 'none') or without_fields(key)
  local row, _, size = shown(device, id, key, flat)
  local last = #row
  row[last - 3], row[last] = now_ms, REPORT
  return row, nil, size
end)
