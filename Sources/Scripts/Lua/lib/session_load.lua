-- How a session is read: the part that decides its state, or its whole record.
-- USES: batch, numbers, session_index, session_find
-- RARELY: corrupt, chat_numbers, find_other
-- GIVES: whole, load, members_of

-- A whole number that Lua can count by; nil if the text is none.
local function whole(line)
  local number = line and tonumber(line)
  return number and number >= 0 and number < 9007199254740992 and number or nil
end

-- The part that decides a session's state, from the members of its record as they are stored.
local function session(base, device, id, key, state, rev, clocks, active, created, born, since,
    warned, chat, chats, fenced, links)
  local current, list, last = tonumber(chat or 1), {1}, 1
  if chats then list, last = chat_numbers(chats) end
  local used, made = active and tonumber(active), created and tonumber(created)
  local lives, stands = tonumber(born or created or ''), tonumber(since or created or '')
  local n, lengths = rev and tonumber(rev), clocks_of(clocks or '')
  if not LIVE[state] and not KEPT[state] then corrupt('state') end
  if not lengths then corrupt('clocks') end
  if not (used and made and lives and stands) then corrupt('times') end
  if not n then corrupt('rev') end
  if not (current and list) then corrupt('chats') end
  -- Values that Lua does not count by: one of them is not a number, or infinite, or below 0, or no
  -- whole one: a warning is kept as whole ms, and would be due again for ever.
  if not (used + made + lives + stands + n + current < 9007199254740992)
    or used < 0 or made < 0 or lives < 0 or stands < 0 or n < 0 or current < 0
    or used % 1 + made % 1 + lives % 1 + stands % 1 + n % 1 + current % 1 > 0 then
    corrupt('numbers')
  end
  return {base = base, device = device, id = id, key = key, state = state, rev = n,
    clocks = lengths, active = used, created = made, born = lives, since = stands,
    warned = warned or '0 0', chat = current, chats = list, last_chat = last,
    fenced = fenced == 'yes', links = links or ''}
end

-- The addressed session, or nil if there is no such session. Further members that are asked for are
-- in `members`, from place 13 on.
local function load(base, device, id, ...)
  local found, key = find_session(base, device, id)
  local v = found and call('HMGET', key, 'state', 'rev', 'clocks', 'active', 'created', 'born',
    'since', 'warned', 'chat', 'chats', 'fenced', 'links', ...)
  if not v then return nil end
  if not v[1] and call('EXISTS', key) == 0 then
    local other = find_other(base, device, id, found)
    return other and load(base, device, other, ...)
  end
  local s = session(base, device, found, key, unpack(v, 1, 12))
  s.members = v
  return s
end

-- The members of a record by their names.
local function members_of(key)
  local flat, v = call('HGETALL', key), {}
  for i = 1, #flat, 2 do v[flat[i]] = flat[i + 1] end
  return v
end
