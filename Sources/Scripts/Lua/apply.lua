-- APPLY: several changes of a session in one step, all or none. `seen` is the newest message's
-- number as the caller has seen it; messages come each after whose it is, members as names and
-- values, documents as keys and values.
-- USES: batch, requests, session_changes, chat_address, messages, session_apply
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat?, seen?, seen_rev?, messages?, members?, puts?, drops?, token?, req?
-- RETURNS: OK, NONE, STALE, ERR
return each(function(base, device, session, chat, seen, seen_rev, messages, members, puts, drops,
    token)
  local s, refusal = open_live(base, device, session, token, 'APPLY', 'chat')
  if not s then return refusal end
  local number, rest = chat_of(s, chat), nil
  if not number and not is_current_chat(chat) then return 'NONE' end
  local newest = (seen ~= '' or messages == '') and number and newest_seq(log_of(s, number)) or 0
  if seen ~= '' and tonumber(seen) ~= newest then return 'STALE {"seq":' .. text(newest) .. '}' end
  seen_rev = tonumber(seen_rev)
  if seen_rev and seen_rev > s.rev then return 'STALE {"rev":' .. text(s.rev) .. '}' end
  local seq
  refusal, rest, number, seq = apply_changes(s, number, s.turn, parts(messages), parts(members),
    parts(puts), parts(drops), seen_rev)
  if refusal then return refusal end
  if not seq then seq = newest end
  return 'OK {"seq":' .. text(seq) .. ',"rev":' .. text(s.rev) .. rest .. '}'
end)
