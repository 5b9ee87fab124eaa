-- SAY: appends messages to a chat; they are parts, each after whose it is. `seen` and `last` are
-- the newest message's number as the caller has seen it, `id` the member by which messages are
-- known; what is newer than `after` goes first. Where messages are sealed, `ids` has the key and
-- the ids by which they are known; MORE asks for `index`: the chat's stamp, and the number and id
-- of each message; where they are not sealed, it asks for the same request again.
-- USES: batch, requests, session_changes, chat_address, messages, chat_records, chat_removal,
--   chat_writes
-- RARELY: add_chat, newest_seq, ahead, remove_after, touch, is_current_chat, chat_of
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat?, messages?, seen?, id?, after?, last?, ids?, index?, token?, req?
-- RETURNS: OK, NONE, STALE, ERR, MORE

-- The refusal of a request that has seen another state of the chat than there is; or nil.
local function unseen(s, chat, seen, after, last)
  local newest = chat and newest_seq(log_of(s, chat)) or 0
  if seen ~= '' and tonumber(seen) ~= newest or last ~= '' and tonumber(last) ~= newest
    or after ~= '' and not chat and after ~= '0' then
    return 'STALE {"seq":' .. text(newest) .. '}'
  end
  return after ~= '' and chat and ahead(s, chat, tonumber(after)) or nil
end

local function reply_of(seq, chat, rest)
  return 'OK {"seq":' .. text(seq) .. ',"chat":' .. (chat and text(chat) or 'null') .. rest .. '}'
end

return each(function(base, device, session, chat, messages, seen, id, after, last, ids, index,
    token)
  local s, refusal = open_live(base, device, session, token, 'SAY', 'chat')
  if not s then return refusal end
  local name
  if chat == '' then
    chat = s.chat > 0 and s.chat
  else
    local is_current = is_current_chat(chat)
    name = cut(chat, 1, 1) == '@' and cut(chat, 2) or nil
    chat = chat_of(s, chat)
    if not chat and not name and not is_current then return 'NONE' end
  end
  refusal = (seen ~= '' or after ~= '') and unseen(s, chat, seen, after, last)
  if refusal then return refusal end
  if messages == '' then
    if chat and after ~= '' and remove_after(log_of(s, chat), tonumber(after)) > 0 then touch(s) end
    return reply_of(chat and newest_seq(log_of(s, chat)) or 0, chat, '')
  end
  -- A chat is made by its name, and the current one where there is none.
  if not chat then chat, refusal = add_chat(s, name or 'null', 'null', '', name) end
  if not chat then return refusal end
  local seq, rest = say(s, chat, parts(messages), s.turn, id ~= '' and id or nil, tonumber(after),
    ids ~= '' and parts(ids) or nil, index ~= '' and parts(index) or nil)
  if not seq then return rest end
  return reply_of(seq, chat, rest)
end)
