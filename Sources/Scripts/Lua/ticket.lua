-- TICKET: what a ticket for a session says: FOUND, the session, the generation of its tickets, and
-- when it ends; and if the request is limited to users' sessions, the one by whose right it reaches
-- this one. UNSHARE ends a generation; the next ticket begins one, `generation`.
-- USES: batch, requests, session_load, session_users, shares, transitions
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, generation, length_ms
-- RETURNS: FOUND, NONE

-- With a space before it; empty if the request is not limited.
local function user_of(s)
  if not s.users or s.users == '' then return '' end
  for user in string.gmatch('\n' .. s.links, '\nuser (%S+)') do
    if is_of_users(s.users, 'user ' .. user .. '\n') then return ' ' .. user end
  end
  for _, share in ipairs(live_shares(call('HGET', s.key, 'shares') or '')) do
    if share.role == 'own' and is_of_users(s.users, 'user ' .. share.user .. '\n') then
      return ' ' .. share.user
    end
  end
  return ''
end

return each(function(base, device, session, generation, length_ms)
  local s = load(base, device, session)
  if not s then return 'NONE' end
  settle(s)
  if s.is_gone then return 'NONE' end
  local user, current = user_of(s), call('HGET', s.key, 'tickets')
  if not string.match(current or '', '^%x+$') then
    current = generation
    call('HSET', s.key, 'tickets', current)
  end
  return 'FOUND ' .. s.id .. ' ' .. current .. ' ' .. text(now_ms + tonumber(length_ms)) .. user
end)
