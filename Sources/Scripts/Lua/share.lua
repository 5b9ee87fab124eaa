-- SHARE: gives a user a role in a session, for `length_ms` or until it is taken back; a share that
-- the user has is replaced. Those that have ended go.
-- USES: batch, changes, requests, session_changes, shares
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, user, role, length_ms?, token?, req?
-- RETURNS: OK, NONE, STALE, ERR
return each(function(base, device, session, user, role, length_ms, token)
  local s, refusal = open_for_change(base, device, session, token)
  if not s then return refusal end
  local ends_at = length_ms ~= '' and text(now_ms + tonumber(length_ms)) or '0'
  local lines, count = '', 0
  for _, share in ipairs(live_shares(call('HGET', s.key, 'shares') or '')) do
    if share.user ~= user then lines, count = lines .. share.line, count + 1 end
  end
  if count >= SHARES_MAX then
    return string.format('ERR quota quota exceeded: %d of %d shares of this session', count,
      SHARES_MAX)
  end
  s.rev = s.rev + 1
  call('HSET', s.key, 'shares', lines .. role .. ' ' .. user .. ' ' .. ends_at .. '\n', 'rev',
    text(s.rev), 'updated', now_text)
  push(base, s.device, 'share.added', s.id, nil, ',"user":"%s","role":"%s","until":%s,"rev":%.0f',
    user, role, ends_at ~= '0' and ends_at or 'null', s.rev)
  return 'OK'
end)
