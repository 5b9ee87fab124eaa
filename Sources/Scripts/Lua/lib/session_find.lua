-- Which session is addressed: the current one stands in its device's line, and where that is
-- corrupt the records say it. For a request that is limited to some users' sessions the others are
-- not there.
-- USES: batch, session_index, session_users, session_roles, user_sessions
-- RARELY: read_live, current_of, find_role
-- GIVES: read_live, is_confirmed, find_session, find_other

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

-- Whether a session that find_session gives unconfirmed is the one, by its state and its links: one
-- of the users' sessions, and live where the current one was asked for.
local function is_confirmed(asked, users, state, links)
  return is_of_users(users, links) and (LIVE[state] or string.match(asked, '^%d') ~= nil)
end

-- The id and the key of the addressed session, the users to whose sessions the request is limited,
-- the same again if they do not own it, and when their role there ends, 0 for never; or nil if the
-- device has none. Whose session is the current one, links alone say. With `confirms` the caller
-- reads the links with the rest, which takes no command more: then it may be given a session that
-- is_confirmed has yet to confirm; the last value says so.
local function find_session(base, device, asked, confirms)
  local id, users, needed, is_shared = split_users(asked)
  if users ~= '' then
    local is_current = id == '' or id == 'current'
    if confirms and not is_shared and string.byte(users) ~= 35 then
      local likely = is_current and only_live(base, device) or not is_current and id
      if likely then
        return likely, base .. ':session:' .. device .. '/' .. likely, users, nil, 0, true
      end
    end
    if is_current then
      id = not is_shared and current_of(base, device, users) or nil
      return id, id and base .. ':session:' .. device .. '/' .. id, users
    end
    local key = base .. ':session:' .. device .. '/' .. id
    local role, ends_at = find_role(key, users, needed, is_shared)
    if not role then return nil end
    return id, key, users, role ~= 'own' and users or nil, ends_at
  end
  if id == '' or id == 'current' then
    -- Cut out by place, as the device's line is read for each request.
    local line, _ = attempt('HGET', base .. ':devices', device)
    if not line then return nil end
    local space = type(line) == 'string' and find(line, ' ', 1, true)
    local behind = space and find(line, ' ', space + 1, true)
    id = space and cut(line, space + 1, behind and behind - 1)
    -- A corrupt line is ignored; the sessions are there all the same.
    if not id or find(id, '/', 1, true) then
      _, id = read_live(base, device, LOOKED_AT_MAX)
      if not id then return nil end
    end
  end
  return id, base .. ':session:' .. device .. '/' .. id, users
end

-- The current session of a device whose line names one that is not there; nil if there is none, or
-- another one was asked for.
local function find_other(base, device, asked, found)
  if not found or asked ~= '' and asked ~= 'current' then return nil end
  local _, id = read_live(base, device, LOOKED_AT_MAX)
  return id ~= found and id or nil
end
