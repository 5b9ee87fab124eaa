-- RECOVER of a device: the hinted session if it can be recovered, else the latest that can, else
-- a new one. Of all that were closed meanwhile a thousand are looked at.
-- USES: requests, session_index, session_load, transitions, cleanup, session_json,
--   session_changes, session_create
-- KEYS: the base key of each request's partition
-- ARGV: device, hint or empty, session, thread (JSON), clocks, fenced (yes or no), members, user or
--   empty, place taken (yes or empty), token or empty, request id or empty
-- RETURNS: OK, NONE, STALE, ERR, MORE
local LOOKED_AT_MAX = 1000
return each(11, function(base, i)
  local device, hint = ARGV[i], ARGV[i + 1]
  local candidates = ids_of(base, device, '', LOOKED_AT_MAX)
  if hint ~= '' then table.insert(candidates, 1, hint) end
  for n, id in ipairs(candidates) do
    -- One that is corrupt is in no other's way.
    local ok, s = pcall(load, base, device, id)
    if ok and s then
      settle(s)
      local refusal = fence(s, ARGV[i + 9])
      if refusal and (LIVE[s.state] or s.state == 'abandoned') then return refusal end
      if recover(s) then
        return record(s, n == 1 and hint ~= '' and ',"how":"hint"' or ',"how":"latest"')
      end
    end
  end
  local s, refusal, flat = make(base, device, i + 2)
  if not s then return refusal end
  return record(s, ',"how":"new"', flat)
end, true, show_again)
