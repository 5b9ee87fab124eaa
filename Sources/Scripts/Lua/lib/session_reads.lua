-- How a session that is only read is found, with its whole record.
-- USES: batch, session_find, large_sessions
-- RARELY: find_other
-- GIVES: find_members

-- What HGETALL gives of a session that is_confirmed has yet to confirm, if it does; nil if it does
-- not, or if the record is too large to be read for that.
local function confirmed_members(key, asked, users)
  if not is_small(key) then return nil end
  local flat, links, state = attempt('HGETALL', key), nil, nil
  for n = 1, #flat, 2 do
    local name = flat[n]
    if name == 'links' then links = flat[n + 1] elseif name == 'state' then state = flat[n + 1] end
    if links and state then break end
  end
  return is_confirmed(asked, users, state, links) and flat
end

-- The id and the key of a session that is only read, what HGETALL gives, false for a large one, and
-- the users if they do not own it; or nil.
local function find_members(base, device, id)
  local found, key, users, guests, _, is_likely = find_session(base, device, id, true)
  if is_likely then
    local flat = confirmed_members(key, id, users)
    if flat then return found, key, flat end
    found, key, users, guests = find_session(base, device, id)
  end
  if found and is_large(key) then return found, key, false, guests end
  local flat = found and attempt('HGETALL', key)
  if flat and (flat.err or #flat > 0) then return found, key, flat, guests end
  local other = find_other(base, device, id, found)
  if other then return find_members(base, device, other) end
end
