-- UNSHARE: takes a user's role in a session away, or ends all tickets for it; what is not there is
-- no error.
-- USES: batch, changes, requests, session_changes, shares
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, user?, ends_tickets?, token?, req?
-- RETURNS: OK, NONE, STALE

-- The lines of the shares that have not ended, without a user's; and whether that has one.
local function without(lines, user)
  local kept, has_share = '', false
  for _, share in ipairs(live_shares(lines)) do
    if share.user == user then has_share = true else kept = kept .. share.line end
  end
  return kept, has_share
end

return each(function(base, device, session, user, ends_tickets, token)
  local s, refusal = open_for_change(base, device, session, token)
  if not s then return refusal end
  local seen = call('HMGET', s.key, 'shares', 'tickets')
  local lines, has_share = without(seen[1] or '', user)
  local has_tickets = ends_tickets ~= '' and seen[2]
  if not (has_share or has_tickets) then return 'OK' end
  s.rev = s.rev + 1
  call('HSET', s.key, 'rev', text(s.rev), 'updated', now_text,
    unpack(has_share and {'shares', lines} or {}))
  if has_tickets then call('HDEL', s.key, 'tickets') end
  if has_share then
    push(base, s.device, 'share.removed', s.id, nil, ',"user":"%s","rev":%.0f', user, s.rev)
  end
  if has_tickets then push(base, s.device, 'tickets.ended', s.id, nil, ',"rev":%.0f', s.rev) end
  return 'OK'
end)
