-- Several changes of one session in one step: all, or none of them.
-- USES: batch, merge, messages, chat_limits, chat_writes, chat_records, turn_records,
--   document_writes
-- RARELY: add_chat, has_room, merge, no_room_for, write_documents
-- GIVES: apply_changes

-- Applies changes to a session and one of its chats: messages, each behind whose it is, which are
-- those of a turn `t`; members as `merge` has them; documents, key and value in turn; keys of
-- documents to remove. Returns a refusal; or nil, further members of the reply, the chat, and the
-- newest number if messages were said.
local function apply_changes(s, chat, t, messages, members, puts, drops, seen_rev)
  local has_said = #messages > 0
  local refusal = has_said and chat and full_for(s, chat, #messages / 2)
    or has_said and t and not has_room(t)
      and 'ERR quota quota exceeded: 1000 of 1000 pieces in which this turn may say messages'
    or #puts > 0 and no_room_for(s, puts)
  if refusal then return refusal end
  local is_said_alone = has_said and #members + #puts + #drops == 0
  if not is_said_alone then
    -- A corrupt key fails this before anything is written.
    if has_said and chat then call('LLEN', log_of(s, chat)) end
    refusal = merge(s, members, seen_rev)
    if refusal then return refusal end
    write_documents(s, puts, drops, #members == 0)
  end
  if not has_said then return nil, '', chat end
  if not chat then chat, refusal = add_chat(s, 'null', 'null', '') end
  if not chat then return refusal end
  local seq, rest = say(s, chat, messages, t)
  return nil, rest, chat, seq
end
