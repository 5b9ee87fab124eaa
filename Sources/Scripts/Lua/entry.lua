-- A session of a list: its record, NONE if it is gone or does not have the link any more, SKIP if
-- it is in another state than the one asked for, LATER if the records of this call are a page.
-- USES: batch, session_load, links, session_json
-- KEYS: the base key of each request's partition
-- ARGV: device, session, kind or empty, ref or empty, state or empty
-- RETURNS: OK, NONE, SKIP, LATER
local size = 0
return each(5, function(base, i)
  if size >= PAGE_BYTES then return 'LATER' end
  local s = load(base, ARGV[i], ARGV[i + 1])
  if not s or ARGV[i + 2] ~= '' and not has_link(s, ARGV[i + 2], ARGV[i + 3]) then return 'NONE' end
  if ARGV[i + 4] ~= '' and ARGV[i + 4] ~= s.state then return 'SKIP' end
  local line = record(s, 'OK ')
  size = size + #line
  return line
end)
