-- To whose sessions a request is limited: behind the session that it addresses stands `=<user>` for
-- each of the users, and `?<pattern>` for all whose ids fit; for a ticket `#`, see session_roles;
-- nothing if it is not limited. Before them stands `<` and the role that its verb needs, where
-- shares count too, and `!` where shares alone do: its caller may not see the device.
-- USES: batch
-- RARELY: clock_ms
-- GIVES: clock_ms, split_users, scope_of, users_in, is_of_users, is_theirs

-- The time, also in calls that do without.
local function clock_ms()
  if now_ms then return now_ms end
  local clock = call('TIME')
  return clock[1] * 1000 + (clock[2] - clock[2] % 1000) / 1000
end

-- The session of an address, the users behind it, empty for all, the role that the verb needs, nil
-- where shares do not count, and whether shares alone do.
local function split_users(asked)
  local at = find(asked, '[<=?#]')
  if not at then return asked, '' end
  local role, mark, users = string.match(asked, '^<(%l+)(!?)(.*)$', at)
  return cut(asked, 1, at - 1), users or cut(asked, at), role, mark == '!'
end

-- What stands behind the session of an address; empty for nothing.
local function scope_of(asked)
  local at = find(asked, '[<=?#]')
  return at and cut(asked, at) or ''
end

-- The users among the lines of a record's links, with commas between them.
local function users_in(links)
  local users = {}
  for user in string.gmatch('\n' .. links, '\nuser (%S+)') do users[#users + 1] = user end
  return table.concat(users, ',')
end

-- Whether a session with these links, the lines of its record, is one of the users'.
local function is_of_users(users, links)
  if users == '' then return true end
  -- Most often there is one of each.
  if string.byte(users) == 61 and links == 'user ' .. cut(users, 2) .. '\n' then return true end
  links = '\n' .. (type(links) == 'string' and links or '')
  local only = string.match(users, '^=([^=?]+)$')
  if only then return find(links, '\nuser ' .. only .. '\n', 1, true) ~= nil end
  for kind, wanted in string.gmatch(users, '([=?])([^=?]+)') do
    if kind == '=' and find(links, '\nuser ' .. wanted .. '\n', 1, true) then return true end
    for user in string.gmatch(kind == '?' and links or '', '\nuser (%S+)') do
      if find(user, '^' .. wanted .. '$') then return true end
    end
  end
  return false
end

-- Whether a turn's session is one of the users'. One that is gone is no other's.
local function is_theirs(base, device, id, users)
  if users == '' then return true end
  local key = base .. ':session:' .. device .. '/' .. id
  return is_of_users(users, attempt('HGET', key, 'links')) or call('EXISTS', key) == 0
end
