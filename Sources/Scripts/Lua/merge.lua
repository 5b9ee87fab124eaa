-- How members are written: merged at the top level (RFC 7396), each with the revision at which
-- it was changed. A removed one leaves its revision behind, so that a conflict with it is seen.
-- KEYS: as in batch.lua
-- ARGV: none of its own
-- RETURNS: nothing

-- `list` is names and JSON in turn: `f:"<member>"`, `name`, `phase` or `step`. Returns a refusal
-- if one of them was changed after `seen_rev`, or if there would be too many.
local function merge(s, list, seen_rev)
  local names = {}
  for i = 1, #list, 2 do names[#names + 1] = list[i] end
  if #names == 0 then return nil end
  local now = call('HMGET', s.key, unpack(names))
  local floor = seen_rev and tonumber(call('HGET', s.key, 'floor') or 0)
  local fields = tonumber(call('HGET', s.key, 'fields') or 0)
  local writes = {}
  for i, name in ipairs(names) do
    local rev, json = string.match(now[i] or '0', '^(%d+) ?(.*)$')
    if seen_rev and math.max(tonumber(rev), now[i] and 0 or floor) > seen_rev then
      return string.format('STALE {"rev":%d}', s.rev)
    end
    local value = list[2 * i]
    if string.sub(name, 1, 2) == 'f:' then
      fields = fields + (value == 'null' and 0 or 1) - (json ~= '' and 1 or 0)
    end
    writes[#writes + 1] = name
    writes[#writes + 1] = (s.rev + 1) .. (value == 'null' and '' or ' ' .. value)
  end
  if fields > FIELDS_MAX then
    return 'ERR quota a session may have ' .. FIELDS_MAX .. ' fields'
  end
  s.rev = s.rev + 1
  call('HSET', s.key, 'rev', s.rev, 'fields', fields, unpack(writes))
  return nil
end

-- Forgets which members were removed, once they are many: whoever has seen none of the later
-- revisions conflicts with all of them.
local function forget_removed(s)
  if call('HLEN', s.key) < 4 * FIELDS_MAX then return end
  local flat = call('HGETALL', s.key)
  for i = 1, #flat, 2 do
    if string.sub(flat[i], 1, 2) == 'f:' and not string.find(flat[i + 1], ' ', 1, true) then
      call('HDEL', s.key, flat[i])
    end
  end
  call('HSET', s.key, 'floor', s.rev)
end
