-- Reads the logs from a position on, for those who watch them or wait for a device's events: one
-- after the other until so many bytes are reached. Without `is_content` only new ends are found.
-- USES: batch, stream_ids, log_marks
-- KEYS: the base keys of partitions
-- ARGV: bytes_max, is_content?, ids... (the position in each log)
-- RETURNS: of each log that was read: its state, which is 1 if it was read to its end, 0 if it has
--   more and -1 if it is corrupt; if entries after the position have gone the newest id that
--   has, or the position if that is not known, else empty; the new position, and the entries

-- So many entries are read at once, and as many as have room, if each has a note.
local STEP_MAX, ENTRY_BYTES = 64, 65536

local function size_of(entry)
  local size = 64
  for _, field in ipairs(entry[2]) do size = size + #field end
  return size
end

-- The entries after a position, and their bytes; whether there may be more, and the last one's id.
local function read_entries(log, id, room)
  local entries, bytes, count, chunk = {}, 0, 0, nil
  repeat
    count = math.max(1, math.min(STEP_MAX, math.floor((room - bytes) / ENTRY_BYTES)))
    chunk = call('XRANGE', log, '(' .. id, '+', 'COUNT', count)
    for _, entry in ipairs(chunk) do
      entries[#entries + 1], id, bytes = entry, entry[1], bytes + size_of(entry)
    end
  until #chunk < count or bytes >= room
  return entries, bytes, #chunk == count, id
end

-- Reads one log; the second result is the bytes of its entries.
local function read(base, id, room, is_content)
  local log = base .. ':events'
  local last = attempt('XREVRANGE', log, '+', '-', 'COUNT', 1)
  if last.err then return {-1, '', id, {}}, 0 end
  local newest = last[1] and last[1][1] or id
  if not is_content then return {1, '', is_before(id, newest) and newest or id, {}}, 0 end
  log_marks.repair(base)
  local is_behind, gone = log_marks.is_behind(base, id), log_marks.gone(base)
  local entries, bytes, is_more, position = read_entries(log, id, room)
  -- What has gone is reported once.
  if not is_more and gone and is_before(position, gone) then position = gone end
  local upto = gone and is_before(id, gone) and gone or id
  return {is_more and 0 or 1, is_behind and upto or '', position, entries}, bytes
end

return function(keys, bytes_max, is_content, ids)
  local logs, room = {}, tonumber(bytes_max)
  for item = 1, #keys do
    if room <= 0 then break end
    local log, bytes = read(keys[item], ids[item], room, is_content == 'yes')
    logs[item], room = log, room - bytes
  end
  return logs
end
