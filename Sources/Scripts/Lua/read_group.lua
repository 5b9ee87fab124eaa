-- EVENTS * group=: what a consumer of a group gets: first what another one took and did not
-- acknowledge in time, then what nobody has had yet. A new group begins with the oldest event.
-- USES: batch, event_json
-- KEYS: the base keys of all partitions
-- ARGV: group, ms to acknowledge in, how many at most, types or empty, partition to begin at,
--   how many groups there may be
-- RETURNS: OK, ERR
local group, ack_ms, limit, wanted = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local found, bytes = {}, 0
-- So many are read at once, and a page ends when it has grown large: an event may have a note as
-- long as a line.
local STEP = 32

local function is_full() return #found >= limit or bytes >= PAGE_BYTES end
local function next_count() return math.min(STEP, limit - #found) end

-- Fresh events of types that are not wanted are done with for this group; what was given before
-- was wanted by somebody, and stays his to acknowledge.
local function deliver(base, entries, is_fresh)
  for _, entry in ipairs(entries) do
    if entry and entry[2] then
      local line, kind = as_json(base, entry[1], entry[2])
      if is_wanted(kind, wanted) then
        found[#found + 1] = line
        bytes = bytes + #line
      elseif is_fresh then
        call('XACK', base .. ':events', group, entry[1])
      end
    end
  end
end

local function make_group(base)
  local known = redis.pcall('XINFO', 'GROUPS', base .. ':events')
  if not known.err and #known >= tonumber(ARGV[6]) then return false end
  call('XGROUP', 'CREATE', base .. ':events', group, '0', 'MKSTREAM')
  return true
end

for turn = 0, #KEYS - 1 do
  local base = KEYS[(ARGV[5] + turn) % #KEYS + 1]
  local log = base .. ':events'
  local cursor = '0'
  repeat
    local claimed = redis.pcall('XAUTOCLAIM', log, group, 'all', ack_ms, cursor, 'COUNT',
      next_count())
    if claimed.err and not make_group(base) then
      return 'ERR quota there are ' .. ARGV[6] .. ' groups already, and no more may be made'
    end
    if not claimed.err then deliver(base, claimed[2], false) end
    cursor = claimed.err and '0-0' or claimed[1]
  until cursor == '0-0' or is_full()
  while not is_full() do
    local asked = next_count()
    local fresh = call('XREADGROUP', 'GROUP', group, 'all', 'COUNT', asked, 'STREAMS', log, '>')
    if not fresh then break end
    deliver(base, fresh[1][2], true)
    if #fresh[1][2] < asked then break end
  end
  if is_full() then break end
end
return 'OK {"events":[' .. table.concat(found, ',') .. ']}'
