-- What a turn changes in its session as it ends.
-- USES: batch, numbers, session_changes, session_apply, chat_address, messages
-- GIVES: standing, change_by_turn

-- The newest number and the revision of a session's chat; nulls if it is gone.
local function standing(t)
  local key = t.base .. ':session:' .. t.device .. '/' .. t.session
  local v = attempt('HMGET', key, 'rev', 'q:' .. t.chat)
  if v.err or not whole(v[1]) then return 'null', 'null' end
  return text(whole(v[2] or 0) or newest_seq(key .. '/' .. t.chat)), text(whole(v[1]))
end

-- Applies the changes; if the turn goes on, what it says is noted for a rollback. Returns a
-- refusal; or nil, further members of the reply, and the newest number and the revision as texts.
local function change_by_turn(t, messages, members, puts, drops, goes_on)
  local s, refusal = open_for_turn(t, 'DONE', 'chat')
  if not s then return refusal end
  if #messages > 0 and not chat_of(s, text(t.chat)) then return 'NONE' end
  local failure, rest, _, seq = apply_changes(s, t.chat, goes_on and t or nil, messages, members,
    puts, drops)
  if failure then return failure end
  if not seq then return nil, rest, standing(t) end
  return nil, rest, text(seq), text(s.rev)
end
