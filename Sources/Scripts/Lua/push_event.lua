-- TELL: publishes a caller's own event to those who watch; nothing is kept, and nothing changed.
-- USES: changes, chat_address, requests, chat_json
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat?, kind, payload (JSON)
-- RETURNS: OK, NONE
return each(function(base, device, session, chat, kind, payload)
  local s, number
  if session ~= '' then
    s = for_chat(base, device, session)
    number = s and chat ~= '' and chat_of(s, chat) or nil
    if not s or chat ~= '' and not number then return 'NONE' end
  end
  push(base, device, 'custom.' .. kind, s and s.id, number, ',"payload":%s', payload)
  return 'OK'
end)
