-- Which session is addressed: the current one stands in its device's line, and where that is
-- corrupt the records say it.
-- USES: batch, session_index
-- RARELY: read_live
-- GIVES: read_live, find_session, find_other

-- A device's live sessions, newest first, and the newest of those, or else of all, as their records
-- say it: for a device whose line is corrupt. Of its `most` newest (-1: all).
local function read_live(base, device, most)
  local live, newest = {}, nil
  for _, id in ipairs(ids_of(base, device, '', most)) do
    local state = attempt('HGET', base .. ':session:' .. device .. '/' .. id, 'state')
    if LIVE[state] then live[#live + 1] = id end
    newest = newest or state and id
  end
  return live, live[1] or newest
end

-- So many sessions of a device are looked at, where its line is corrupt, for a request that reads.
local LOOKED_AT_MAX = 1000

-- The id and the key of the addressed session, or nil if the device has none.
local function find_session(base, device, id)
  if id == '' or id == 'current' then
    -- Cut out by place, as the device's line is read for each request.
    local line = attempt('HGET', base .. ':devices', device)
    if not line then return nil end
    local space = type(line) == 'string' and find(line, ' ', 1, true)
    local behind = space and find(line, ' ', space + 1, true)
    id = space and cut(line, space + 1, behind and behind - 1)
    -- A corrupt line is ignored; the sessions are there all the same.
    if not id or find(id, '/', 1, true) then
      local _, newest = read_live(base, device, LOOKED_AT_MAX)
      if not newest then return nil end
      id = newest
    end
  end
  return id, base .. ':session:' .. device .. '/' .. id
end

-- The current session of a device whose line names one that is not there; nil if there is none, or
-- another one was asked for.
local function find_other(base, device, asked, found)
  if not found or asked ~= '' and asked ~= 'current' then return nil end
  local _, id = read_live(base, device, LOOKED_AT_MAX)
  return id ~= found and id or nil
end
