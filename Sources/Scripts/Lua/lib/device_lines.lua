-- The line of a device: `<n> <current>`, and behind it those of the n live sessions that are not
-- the current one, the one opened or recovered last first. While any session is live, the current
-- one is live; else it is the one that ended last.
-- USES: batch, session_find
-- RARELY: read_live
-- GIVES: live_ids, without, is_counted, write_line, make_current, peek

-- The ids of the live sessions, the current one first, and the current one; nil if there is none.
-- And whether the line is corrupt: then the records say it, until a script writes the line anew.
-- With `checks` the current one's record must be there; that of the id `known` is. `line` is the
-- line if it was read already.
local function live_ids(base, device, checks, known, line)
  local ids = {}
  line = line or attempt('HGET', base .. ':devices', device)
  if not line then return ids, nil end
  -- A key of another type has no line.
  local live, listed = string.match(line.err and '' or line, '^(%d+) ([^/]+)$')
  for id in string.gmatch(listed or '', '%S+') do ids[#ids + 1] = id end
  local current = ids[1]
  local is_good = current and (tonumber(live) == #ids or live == '0' and #ids == 1)
  if is_good and checks and current ~= known then
    is_good = call('EXISTS', base .. ':session:' .. device .. '/' .. current) == 1
  end
  if is_good then return live == '0' and {} or ids, current end
  ids, current = read_live(base, device, -1)
  return ids, current, true
end

local function without(ids, id)
  local rest = {}
  for _, other in ipairs(ids) do if other ~= id then rest[#rest + 1] = other end end
  return rest
end

-- Whether a session counts as one of a device's live ones.
local function is_counted(base, device, id)
  local ids = live_ids(base, device)
  return #without(ids, id) < #ids
end

-- Writes the line; `ended` is the current session where none is live.
local function write_line(base, device, ids, ended)
  local line = #ids .. ' ' .. (#ids > 0 and table.concat(ids, ' ') or ended)
  call('HSET', base .. ':devices', device, line)
end

-- A live session that was opened or recovered: the current one from now on. `live` are the ids of
-- the live ones, if they are known.
local function make_current(base, device, id, live)
  local ids, _, is_corrupt = live, nil, nil
  if not live then
    local line = attempt('HGET', base .. ':devices', device)
    -- Most devices have one live session.
    if line == '1 ' .. id then return end
    ids, _, is_corrupt = live_ids(base, device, true, id, line)
  end
  if ids[1] == id and not is_corrupt then return end
  ids = without(ids, id)
  table.insert(ids, 1, id)
  write_line(base, device, ids)
end

-- The members of a session's record; nothing if it is of another type.
local function peek(base, device, id, ...)
  local v = attempt('HMGET', base .. ':session:' .. device .. '/' .. id, ...)
  return v.err and {} or v
end
