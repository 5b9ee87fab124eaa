-- TOUCH: notes activity. A turn's starts its TTL again.
-- USES: batch, activity, requests, session_index, session_users, session_find, numbers, clocks,
--   session_changes, turn_records, turn_messages, turn_begin
-- RARELY: idle_at, life_at, open_live, touch, turn_of_fence, running_turn, joined_count, go_on,
--   is_theirs
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, token?, req?
-- RETURNS: OK, NONE, STALE, ERR

local function touched(idle_ends_at, life_ends_at)
  return 'OK {"idle_at":' .. (idle_ends_at and text(idle_ends_at) or 'null') .. ',"life_at":'
    .. (life_ends_at and text(life_ends_at) or 'null') .. '}'
end

-- The usual case, with half of the reading: an active session without a fence, of which nothing is
-- due and no warning is due. Gives the reply, or nil if it is any other case.
local function quick(base, device, id, token)
  if token ~= '' then return nil end
  local found, key, users, _, _, is_likely = find_session(base, device, id, true)
  if not found then return nil end
  local seen = call('HMGET', key, 'state', 'clocks', 'active', 'created', 'born', 'fenced', 'links')
  if is_likely and not is_confirmed(id, users, seen[1], seen[7]) then return nil end
  if seen[1] ~= 'active' or seen[6] or not seen[2] then return nil end
  local clocks, active, born = clocks_of(seen[2]), tonumber(seen[3]), tonumber(seen[5] or seen[4])
  -- A corrupt record is not touched; reading it fails.
  if not (clocks and active and born) or not is_quiet(clocks, active, born) then return nil end
  if is_new_minute(active) then
    -- A second write, so that the rights to both have to be there.
    if unpermitted() then return nil end
    index_activity(base, device, found, now_ms)
  end
  call('HSET', key, 'active', now_text)
  local idle, life = clocks.idle, clocks.life
  return touched(idle > 0 and now_ms + idle, life > 0 and born + life)
end

return each(function(base, device, session, token)
  -- Where only the device is named, the turn's own session is meant.
  local number, id, users = turn_of_fence(token), split_users(session)
  local t = number and id == '' and running_turn(base, device, number)
  local own = t and is_theirs(base, device, t.session, users) and t.session .. users
  local s, refusal = open_live(base, device, own or session, token, 'TOUCH')
  if not s then return refusal end
  touch(s)
  local line = touched(idle_at(s), life_at(s))
  if not s.turn then return line end
  return cut(line, 1, -2) .. ',"ttl_ms":' .. text(go_on(s.turn)) .. ',"joined":'
    .. joined_count(s.turn, 0) .. '}'
end, nil, quick)
