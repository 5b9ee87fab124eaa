-- How members are written: merged at the top level (RFC 7396), each with the revision at which
-- it was changed. A removed one leaves its revision behind, so that a conflict with it is seen.
-- USES: batch, quotas, activity, changes, pushes, numbers, session_load, session_changes
-- RARELY: forget_removed, members_of, push_changed
-- GIVES: merged, forget_removed, merge

-- The lines to be written of members, as names and lines in turn, and how many fields there are
-- then; or nil and a refusal, if one of them was changed after `seen_rev`, or there would be too
-- many. `list` is names and JSON in turn: `f:"<member>"`, `name`, `phase` or `step`; `now` has the
-- line of each, from place `from` on. Members without one count as changed at `floor`.
local function merged(rev, list, now, from, fields, seen_rev, floor)
  local writes = {}
  for i = 1, #list, 2 do
    local name, value, line = list[i], list[i + 1], now[from + (i - 1) / 2]
    if seen_rev and (line and tonumber(string.match(line, '^%d+')) or floor) > seen_rev then
      return nil, string.format('STALE {"rev":%d}', rev)
    end
    if cut(name, 1, 2) == 'f:' then
      fields = fields + (value == 'null' and 0 or 1)
        - (line and find(line, ' ', 1, true) and 1 or 0)
    end
    writes[i] = name
    writes[i + 1] = value == 'null' and text(rev + 1) or text(rev + 1) .. ' ' .. value
  end
  if fields > FIELDS_MAX then
    return nil, exceed(fields, FIELDS_MAX, 'fields')
  end
  return writes, fields
end

-- Drops the tombstones once they are many: a caller that has seen none of the later revisions
-- conflicts with all of them.
local function forget_removed(s)
  if call('HLEN', s.key) < 4 * FIELDS_MAX then return end
  for name, line in pairs(members_of(s.key)) do
    if cut(name, 1, 2) == 'f:' and not find(line, ' ', 1, true) then call('HDEL', s.key, name) end
  end
  call('HSET', s.key, 'floor', s.rev)
end

-- How many fields a session has; where its record does not say it, they are counted.
local function fields_of(s, line)
  local known, fields = whole(line or 0), 0
  if known then return known end
  for name, value in pairs(members_of(s.key)) do
    if cut(name, 1, 2) == 'f:' and find(value, ' ', 1, true) then fields = fields + 1 end
  end
  return fields
end

-- The lines of members, names and JSON in turn, as they are in a record: those of `fields` and
-- `floor` first. Of many members, where no revision is to be compared, a value that is long is not
-- read: that there is one is all that `merged` needs, which a space says.
local MANY, TOMBSTONE_BYTES = 8, 20
local function lines_of(key, list, seen_rev)
  local names, reads_all = {'fields', 'floor'}, seen_rev or #list <= MANY
  for i = 1, reads_all and #list or 0, 2 do names[#names + 1] = list[i] end
  local now = call('HMGET', key, unpack(names))
  for i = 1, reads_all and 0 or #list, 2 do
    local size = call('HSTRLEN', key, list[i])
    now[#now + 1] = size > TOMBSTONE_BYTES and ' ' or size > 0 and call('HGET', key, list[i])
  end
  return now
end

-- Writes members, and notes activity. Returns a refusal, or nil.
local function merge(s, list, seen_rev)
  if #list == 0 then return touch(s) end
  local removes = false
  for i = 1, #list, 2 do removes = removes or list[i + 1] == 'null' end
  local now = lines_of(s.key, list, seen_rev)
  local writes, fields = merged(s.rev, list, now, 3, fields_of(s, now[1]), seen_rev,
    whole(now[2] or 0) or s.rev)
  if not writes then return fields end
  s.rev = s.rev + 1
  -- A profile has none.
  if s.active then note_activity(s) end
  call('HSET', s.key, 'rev', s.rev, 'fields', fields, 'active', now_text, 'updated', now_text,
    unpack(writes))
  if removes then forget_removed(s) end
  -- A profile belongs to no device.
  if s.base and is_watched(s.base, s.device) then push_changed(s, list) end
end
