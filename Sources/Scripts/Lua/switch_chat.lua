-- SWITCH: makes a chat the current one.
-- USES: batch, changes, requests, session_changes, chat_address
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat, token?, req?
-- RETURNS: OK, NONE, STALE, ERR
return each(function(base, device, session, chat, token)
  local s, refusal = open_live(base, device, session, token, 'SWITCH')
  if not s then return refusal end
  chat = chat_of(s, chat)
  if not chat then return 'NONE' end
  if chat ~= s.chat then
    s.rev = s.rev + 1
    call('HSET', s.key, 'chat', chat, 'rev', s.rev, 'updated', now_text)
    push(base, device, 'session.changed', s.id, nil, ',"rev":%.0f,"members":["chat"]', s.rev)
  end
  touch(s)
  return 'OK {"chat":' .. chat .. '}'
end)
