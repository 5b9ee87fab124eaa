-- EVENTS device: the events of one device, or with `*` of all of the partition, oldest first. A
-- page ends when it has grown large. An id after the log's newest entry is of another log, and what
-- it waits for would not come. Replies with a line, or an array: `events`, how many entries were
-- omitted because they are no events or -1 if the log is corrupt, 1 if entries after the id may
-- have been dropped else 0, and of each event its id, type, device and other members.
-- USES: batch, requests, event_entries, stream_ids
-- KEYS: the base key of each request's partition
-- ARGV: device, after (a stream id), limit
-- RETURNS: OK, STALE

-- So many are read at once: an event may have a note as long as a line.
local STEP = 32

-- The id of the log's newest entry, if it is before this one; nil and true if the log is corrupt.
local function newest_before(base, id)
  local last = attempt('XREVRANGE', base .. ':events', '+', '-', 'COUNT', 1)
  if last.err then return nil, find(last.err, 'WRONGTYPE', 1, true) or error(last, 0) end
  return last[1] and id ~= '0-0' and is_before(last[1][1], id) and last[1][1] or nil
end

-- Whether entries after this id were dropped; of which devices is not known.
local function has_lost(base, id)
  local gone = id ~= '0-0' and attempt('HGET', base .. ':ledger', 'log_gone')
  return type(gone) == 'string' and find(gone, '^%d+-%d+$') and is_before(id, gone)
end

return each(function(base, device, after, limit)
  local newest, is_corrupt_log = newest_before(base, after)
  if is_corrupt_log then return {'events', -1, 0} end
  if newest then
    return string.format('STALE {"id":"%s-%s"}', string.match(base, '{(%x+)}$'), newest)
  end
  local page, found, bytes = {'events', 0, has_lost(base, after) and 1 or 0}, 0, 0
  after, limit = '(' .. after, tonumber(limit)
  repeat
    local chunk = call('XRANGE', base .. ':events', after, '+', 'COUNT', STEP)
    for _, entry in ipairs(chunk) do
      if not is_event(entry[2]) then
        page[2] = page[2] + 1
      elseif (device == '*' or entry[2][4] == device) and found < limit and bytes < PAGE_BYTES then
        local _, size = add_event(page, base, entry[1], entry[2])
        found, bytes = found + 1, bytes + size
      end
    end
    if #chunk > 0 then after = '(' .. chunk[#chunk][1] end
  until #chunk < STEP or found >= limit or bytes >= PAGE_BYTES
  return page
end)
