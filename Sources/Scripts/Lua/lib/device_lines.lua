-- The line of a device: `<n> <current>`, and behind it those of the n live sessions that are not
-- the current one, the one opened or recovered last first. While any session is live, the current
-- one is live; else it is the one that ended last.
-- USES: batch, session_index
-- GIVES: live_ids, count_live, without, write_line, make_current, peek

-- The ids of the live sessions, the current one first, and the current one; nil if there is none.
local function live_ids(base, device)
  local line, ids = call('HGET', base .. ':devices', device) or '', {}
  local live, current, others = string.match(line, '^(%d+) (%S+)(.*)$')
  if not live then
    if line == '' then return ids, nil end
    -- A corrupt line is made anew by the next script that writes it.
    local all = ids_of(base, device, '', -1)
    for _, id in ipairs(all) do
      if LIVE[attempt('HGET', base .. ':session:' .. device .. '/' .. id, 'state')] then
        ids[#ids + 1] = id
      end
    end
    return ids, ids[1] or all[1]
  end
  if tonumber(live) > 0 then ids[1] = current end
  for id in string.gmatch(others, '%S+') do ids[#ids + 1] = id end
  return ids, current
end

-- How many live sessions a device has.
local function count_live(base, device)
  local line = call('HGET', base .. ':devices', device)
  return not line and 0 or tonumber(string.match(line, '^%d+')) or #live_ids(base, device)
end

local function without(ids, id)
  local rest = {}
  for _, other in ipairs(ids) do if other ~= id then rest[#rest + 1] = other end end
  return rest
end

-- Writes the line; `ended` is the current session where none is live.
local function write_line(base, device, ids, ended)
  local line = #ids .. ' ' .. (#ids > 0 and table.concat(ids, ' ') or ended)
  call('HSET', base .. ':devices', device, line)
end

-- A live session that was opened or recovered: the current one from now on.
local function make_current(base, device, id)
  local ids = without(live_ids(base, device), id)
  table.insert(ids, 1, id)
  write_line(base, device, ids)
end

-- The members of a session's record; nothing if it is of another type.
local function peek(base, device, id, ...)
  local v = attempt('HMGET', base .. ':session:' .. device .. '/' .. id, ...)
  return v.err and {} or v
end
