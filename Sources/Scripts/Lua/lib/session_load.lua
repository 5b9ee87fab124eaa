-- How a session is read: the part that decides its state, or its whole record.
-- USES: batch, session_users, session_find, session_state, large_sessions
-- RARELY: find_other
-- GIVES: load, members_of

-- The members that decide a session's state, and further ones.
local function read(ask, key, ...)
  return ask('HMGET', key, 'state', 'rev', 'clocks', 'active', 'created', 'born', 'since',
    'warned', 'chat', 'chats', 'fenced', 'links', ...)
end

-- The place of each value in a record, by its name.
local function places_in(flat)
  local at = {}
  for n = 1, #flat, 2 do at[flat[n]] = n + 1 end
  return at
end

-- The addressed session, or nil if there is no such session. `more` is what else of it is read:
-- `chat` for what `say` needs of the first chat, in `members`; or `record` for all of it, which is
-- in `flat` as HGETALL gives it, with the places of its values in `at`, for as long as `flat` is
-- what is stored; both are nil for a large session. `users` are those to whose sessions the request
-- is limited, `guests` the same where they do not own it, and `scope` what stands behind the id.
local function load(base, device, id, more, is_again)
  local found, key, users, guests, _, is_likely = find_session(base, device, id,
    more ~= 'record' and not is_again)
  if not found then return nil end
  -- Of a key of another type nothing is said to those who may not see it.
  local ask, v, flat, at = is_likely and attempt or call, nil, nil, nil
  if more == 'record' and is_large(key) then more = nil end
  if more == 'record' then
    flat = call('HGETALL', key)
    at = places_in(flat)
  elseif more == 'chat' then
    v = read(ask, key, 'q:1', 't:1', 'answers', 'answer_ms', 'o:1', 'policy')
  else
    v = read(ask, key)
  end
  if is_likely and not is_confirmed(id, users, v[1], v[12]) then
    return load(base, device, id, more, true)
  end
  if not (flat and flat[1] or v and v[1]) and call('EXISTS', key) == 0 then
    local other = find_other(base, device, id, found)
    return other and load(base, device, other, more)
  end
  if v then
    local s = session_of(base, device, found, key, unpack(v, 1, 12))
    if more then s.members = v end
    s.users, s.guests, s.scope = users, guests, users and scope_of(id)
    return s
  end
  local s = session_of(base, device, found, key, flat[at.state], flat[at.rev], flat[at.clocks],
    flat[at.active], flat[at.created], flat[at.born], flat[at.since], flat[at.warned],
    flat[at.chat], flat[at.chats], flat[at.fenced], flat[at.links])
  s.flat, s.at = flat, at
  s.users, s.guests, s.scope = users, guests, users and scope_of(id)
  return s
end

-- The members of a record by their names.
local function members_of(key)
  local flat, v = call('HGETALL', key), {}
  for i = 1, #flat, 2 do v[flat[i]] = flat[i + 1] end
  return v
end
