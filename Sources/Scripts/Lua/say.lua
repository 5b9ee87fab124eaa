-- SAY: appends messages to a chat; they are parts, each after whose it is.
-- USES: batch, requests, session_changes, messages, chat_records, chat_writes
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat?, messages, token?, req?
-- RETURNS: OK, NONE, STALE, ERR
return each(function(base, device, session, chat, messages, token)
  local s, refusal = open_live(base, device, session, token, 'SAY', 'q:1', 't:1', 'answers',
    'answer_ms')
  if not s then return refusal end
  local is_current = is_current_chat(chat)
  chat = chat_of(s, chat)
  -- Where there is no chat at all, the current one is made.
  if not chat and is_current then chat = add_chat(s, 'null', 'null') end
  if not chat then return 'NONE' end
  local seq, full = say(s, chat, parts(messages), s.turn)
  if not seq then return full end
  return 'OK {"seq":' .. text(seq) .. ',"chat":' .. text(chat) .. '}'
end)
