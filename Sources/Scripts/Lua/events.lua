-- EVENTS device: the events of one device, oldest first. A page ends when it has grown large. An id
-- after the log's newest entry is of another log, and what it waits for would not come. Replies
-- with a line, or an array: `events`, how many entries were omitted because they are no events, and
-- of each event its id, type, device and other members.
-- USES: batch, requests, event_entries
-- KEYS: the base key of each request's partition
-- ARGV: device, after (a stream id), limit
-- RETURNS: OK, STALE

-- So many are read at once: an event may have a note as long as a line.
local STEP = 32

-- The id of the log's newest entry, if it is before this id.
local function newest_before(base, id)
  local last = id ~= '0-0' and call('XREVRANGE', base .. ':events', '+', '-', 'COUNT', 1)[1]
  if not last then return nil end
  local ms, n = string.match(id, '^(%d+)-(%d+)$')
  local last_ms, last_n = string.match(last[1], '^(%d+)-(%d+)$')
  local ahead = tonumber(ms) - tonumber(last_ms)
  return (ahead > 0 or ahead == 0 and tonumber(n) > tonumber(last_n)) and last[1] or nil
end

return each(function(base, device, after, limit)
  local newest = newest_before(base, after)
  if newest then
    return string.format('STALE {"id":"%s-%s"}', string.match(base, '{(%x+)}$'), newest)
  end
  after, limit = '(' .. after, tonumber(limit)
  local page, found, bytes = {'events', 0}, 0, 0
  repeat
    local chunk = call('XRANGE', base .. ':events', after, '+', 'COUNT', STEP)
    for _, entry in ipairs(chunk) do
      if not is_event(entry[2]) then
        page[2] = page[2] + 1
      elseif entry[2][4] == device and found < limit and bytes < PAGE_BYTES then
        local _, size = add_event(page, base, entry[1], entry[2])
        found, bytes = found + 1, bytes + size
      end
    end
    if #chunk > 0 then after = '(' .. chunk[#chunk][1] end
  until #chunk < STEP or found >= limit or bytes >= PAGE_BYTES
  return page
end)
