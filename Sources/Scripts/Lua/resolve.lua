-- The session that an address names, the number of its chat if one is addressed, and for how long
-- its caller may read it: FOUND and these, `-` for no chat; `own` for an owner or one that is not
-- limited to users, else how many ms are left, or `-` for no end.
-- USES: batch, chat_address, requests, chat_json
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat?
-- RETURNS: FOUND, NONE
return each(function(base, device, session, chat)
  local s, refusal = for_chat(base, device, session)
  if not s then return refusal end
  local left = ' own'
  if s.guests then left = s.ends_at > 0 and ' ' .. text(s.ends_at - now_ms) or ' -' end
  if chat == '' then return 'FOUND ' .. s.id .. ' -' .. left end
  chat = chat_of(s, chat)
  return chat and 'FOUND ' .. s.id .. ' ' .. text(chat) .. left or 'NONE'
end)
