-- EVENTS device: the events of one device, or with `*` of all of the partition, oldest first. A
-- page ends when it has grown large, or after a part of the log that was looked through: then the
-- reply has the id to go on after. An id after the log's newest entry is of another log, and what
-- it waits for would not come. Replies with a line, or an array: `events`, how many entries were
-- omitted because they are no events or -1 if the log is corrupt, 1 if entries after the id may
-- have been dropped else 0, of each event its id, type, device and other members; and the id to go
-- on after, if there is more.
-- USES: batch, requests, event_entries, stream_ids, log_marks
-- RARELY: is_shown_to
-- KEYS: the base key of each request's partition
-- ARGV: device, users? (whose sessions count), after (a stream id), limit
-- RETURNS: OK, STALE

-- So many are read at once: an event may have a note as long as a line. A call looks at so many,
-- and gives so many bytes.
local STEP, LOOKED_MAX, BYTES_MAX = 32, 1000, 1048576

-- The id of the log's newest entry, if it is before this one; nil and true if the log is corrupt.
local function newest_before(base, id)
  local last = attempt('XREVRANGE', base .. ':events', '+', '-', 'COUNT', 1)
  if last.err then return nil, find(last.err, 'WRONGTYPE', 1, true) or error(last, 0) end
  return last[1] and id ~= '0-0' and is_before(last[1][1], id) and last[1][1] or nil
end

return each(function(base, device, users, after, limit)
  local newest, is_corrupt_log = newest_before(base, after)
  if is_corrupt_log then return {'events', -1, 0} end
  if newest then
    return string.format('STALE {"id":"%s-%s"}', string.match(base, '{(%x+)}$'), newest)
  end
  local is_behind = after ~= '0-0' and log_marks.is_behind(base, after)
  local page, found, bytes, looked = {'events', 0, is_behind and 1 or 0}, 0, 0, 0
  limit = tonumber(limit)
  local chunk
  repeat
    chunk = call('XRANGE', base .. ':events', '(' .. after, '+', 'COUNT', STEP)
    for _, entry in ipairs(chunk) do
      if found >= limit or bytes >= BYTES_MAX then break end
      after, looked = entry[1], looked + 1
      if not is_event(entry[2]) then
        page[2] = page[2] + 1
      elseif (device == '*' or entry[2][4] == device)
        and (users == '' or is_shown_to(entry[2], users)) then
        local _, size = add_event(page, base, entry[1], entry[2])
        found, bytes = found + 1, bytes + size
      end
    end
  until #chunk < STEP or found >= limit or bytes >= BYTES_MAX or looked >= LOOKED_MAX
  local is_end = found >= limit or #chunk == 0 or chunk[#chunk][1] == after and #chunk < STEP
  if not is_end then page[#page + 1] = after end
  return page
end)
