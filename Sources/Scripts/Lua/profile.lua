-- PROFILE: reads the profile of a link, which is `kind/ref`. Of one that is too large for a reply:
-- MORE with its stamp; with that some of its fields, as record_page has them, from the place `from`
-- on; MORE if it was changed since.
-- USES: batch, requests, large_sessions, session_parts
-- KEYS: the base key of each request's partition
-- ARGV: device (the link), stamp?, from?
-- RETURNS: OK, MORE

-- Its revision; `-` if that is corrupt.
local function stamp_of(key)
  local rev = attempt('HGET', key, 'rev') or '0'
  return type(rev) == 'string' and string.match(rev, '^%d+$') or '-'
end

return each(function(base, device, stamp, from)
  local key = base .. ':profile:' .. device
  if stamp ~= '' then
    if stamp ~= stamp_of(key) then return 'MORE changed' end
    local reply, size = {'part', stamp, '', 0}, nil
    reply[3], size = put_part.fields(reply, key, from, '')
    return reply, nil, size
  end
  if is_large(key) then return 'MORE ' .. stamp_of(key) end
  local flat, size = attempt('HGETALL', key), 0
  if flat.err then flat = false end
  for n = 1, flat and #flat or 0 do size = size + #flat[n] end
  return {'profile', flat}, nil, size
end)
