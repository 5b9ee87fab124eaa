-- TOUCH: notes activity.
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, token or empty, request id or empty
-- RETURNS: OK, NONE, STALE, ERR
return each(4, function(base, i)
  local s, refusal = open_live(base, ARGV[i], ARGV[i + 1], ARGV[i + 2], 'TOUCH')
  if not s then return refusal end
  touch(s)
  return 'OK {"idle_at":' .. time_or_null(idle_at(s)) .. ',"life_at":'
    .. time_or_null(life_at(s)) .. '}'
end, true)
