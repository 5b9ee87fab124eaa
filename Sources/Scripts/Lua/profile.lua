-- PROFILE: reads the profile of a link, which is `kind/ref`.
-- USES: batch, requests
-- KEYS: the base key of each request's partition
-- ARGV: device (the link)
-- RETURNS: OK
return each(function(base, device)
  local flat, size = attempt('HGETALL', base .. ':profile:' .. device), 0
  if flat.err then flat = false end
  for n = 1, flat and #flat or 0 do size = size + #flat[n] end
  return {'profile', flat}, nil, size
end)
