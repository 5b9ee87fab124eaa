-- RECOVER of a device: the hinted session if it can be recovered, else the latest that can, else
-- a new one.
-- KEYS: the base key of each request's partition
-- ARGV: device, hint or empty, session, thread (JSON), clocks, fenced (yes or no), members, token
--   or empty, request id or empty
-- RETURNS: OK, STALE, ERR
return each(9, function(base, i)
  local function told(s, how)
    return 'OK ' .. string.sub(record(s), 1, -2) .. ',"how":"' .. how .. '"}'
  end
  local device, hint = ARGV[i], ARGV[i + 1]
  local candidates = call('ZREVRANGE', base .. ':sessions:' .. device, 0, -1)
  if hint ~= '' then table.insert(candidates, 1, hint) end
  for n, id in ipairs(candidates) do
    local s = load(base, device, id)
    if s then
      settle(s)
      local refusal = fence(s, ARGV[i + 7])
      if refusal and (LIVE[s.state] or s.state == 'abandoned') then return refusal end
      if recover(s) then
        return told(s, n == 1 and hint ~= '' and 'hint' or 'latest')
      end
    end
  end
  local s, refusal = make(base, device, i + 2)
  return s and told(s, 'new') or refusal
end, true)
