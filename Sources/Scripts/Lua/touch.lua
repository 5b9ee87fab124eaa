-- TOUCH: notes activity.
-- USES: batch, requests, session_index, session_find, session_load, session_changes
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, token?, req?
-- RETURNS: OK, NONE, STALE, ERR

local function touched(idle_ends_at, life_ends_at)
  return 'OK {"idle_at":' .. (idle_ends_at and text(idle_ends_at) or 'null') .. ',"life_at":'
    .. (life_ends_at and text(life_ends_at) or 'null') .. '}'
end

-- The usual case, with half of the reading: an active session without a fence, of which nothing is
-- due and no warning is due. Gives the reply, or nil if it is any other case.
local function quick(base, device, id)
  local found, key = find_session(base, device, id)
  if not found then return nil end
  local seen = call('HMGET', key, 'state', 'clocks', 'active', 'created', 'born', 'fenced')
  if seen[1] ~= 'active' or seen[6] or not seen[2] then return nil end
  local clocks, active, born = numbers_of(seen[2]), tonumber(seen[3]), tonumber(seen[5] or seen[4])
  local idle, abandon, life, warn = clocks[1], clocks[2], clocks[4], clocks[6]
  -- A corrupt record is not touched; reading it fails.
  if not (warn and active and born) then return nil end
  local quiet = now_ms + warn
  if idle > 0 and active + idle <= quiet or abandon > 0 and active + abandon <= now_ms
    or life > 0 and born + life <= quiet then
    return nil
  end
  call('HSET', key, 'active', now_text)
  return touched(idle > 0 and now_ms + idle, life > 0 and born + life)
end

return each(function(base, device, session, token)
  local reply = token == '' and quick(base, device, session)
  if reply then return reply end
  local s, refusal = open_live(base, device, session, token, 'TOUCH')
  if not s then return refusal end
  touch(s)
  return touched(idle_at(s), life_at(s))
end)
