-- TICKET: what a ticket for a session says: FOUND, the session, the generation of its tickets, and
-- when it ends. UNSHARE ends a generation; the next ticket begins one, `generation`.
-- USES: batch, requests, session_load, transitions
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, generation, length_ms
-- RETURNS: FOUND, NONE
return each(function(base, device, session, generation, length_ms)
  local s = load(base, device, session)
  if not s then return 'NONE' end
  settle(s)
  if s.is_gone then return 'NONE' end
  local current = call('HGET', s.key, 'tickets')
  if not string.match(current or '', '^%x+$') then
    current = generation
    call('HSET', s.key, 'tickets', current)
  end
  return 'FOUND ' .. s.id .. ' ' .. current .. ' ' .. text(now_ms + tonumber(length_ms))
end)
