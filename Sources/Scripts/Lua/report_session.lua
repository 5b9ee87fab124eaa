-- REPORT of a session: the members for its age, its messages, how long answers took, and for how
-- long it was in each state.
-- USES: batch, requests, session_json
-- KEYS: the base key of each request's partition
-- ARGV: device, session?
-- RETURNS: OK, NONE
local REPORT = -3
return each(function(base, device, session)
  local row, _, size = show(base, device, session)
  if row == 'NONE' then return row end
  local last = #row
  row[last - 3], row[last] = now_ms, REPORT
  return row, nil, size
end)
