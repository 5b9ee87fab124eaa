-- The session that an address names, and the number of its chat if one is addressed: FOUND and
-- both, `-` for no chat.
-- USES: batch, chat_address, requests, chat_json
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat?
-- RETURNS: FOUND, NONE
return each(function(base, device, session, chat)
  local s, refusal = for_chat(base, device, session)
  if not s then return refusal end
  if chat == '' then return 'FOUND ' .. s.id .. ' -' end
  chat = chat_of(s, chat)
  return chat and 'FOUND ' .. s.id .. ' ' .. text(chat) or 'NONE'
end)
