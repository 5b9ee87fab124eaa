-- RECOVER of a device: the hinted session if it can be recovered, else the latest that can, else
-- a new one.
-- KEYS: the base key of each request's partition
-- ARGV: device, hint or empty, session, thread (JSON), clocks, fenced (yes or no), members, user or
--   empty, place taken (yes or empty), token or empty, request id or empty
-- RETURNS: OK, STALE, ERR, MORE
return each(11, function(base, i)
  local function told(s, how)
    return 'OK ' .. string.sub(record(s), 1, -2) .. ',"how":"' .. how .. '"}'
  end
  local device, hint = ARGV[i], ARGV[i + 1]
  local candidates = ids_of(base, device)
  if hint ~= '' then candidates[#candidates + 1] = hint end
  for n = #candidates, 1, -1 do
    local s = load(base, device, candidates[n])
    if s then
      settle(s)
      local refusal = fence(s, ARGV[i + 9])
      if refusal and (LIVE[s.state] or s.state == 'abandoned') then return refusal end
      if recover(s) then
        return told(s, n == #candidates and hint ~= '' and 'hint' or 'latest')
      end
    end
  end
  local s, refusal = make(base, device, i + 2)
  return s and told(s, 'new') or refusal
end, true)
