-- TURN: begins a turn of a device, in a session that is recovered or made for it, and says its
-- message; or joins the message to the turn that runs.
-- USES: batch, requests, session_choice, cleanup, session_changes, session_create, live_quota,
--   log_quota, messages, chat_records, chat_limits, chat_writes, turn_records, turn_asks,
--   turn_policies, turn_settling, turn_messages, turn_begin, turn_shown
-- RARELY: fence, make, add_chat, newest_seq, answer, wait_for_turn, join_turn, replace_turn,
--   turn_settling
-- KEYS: the base key of each request's partition
-- ARGV: device, policy, agent?, lock_ttl, ttl_ms, last, messages? (each after whose it is),
--   ignored? (JSON), ticket?, wait_ms, waited_ms, place?, settle_ms, fleet?, reserved?, token?,
--   NEW, req?
-- RETURNS: OK, HELD, BUSY, NONE, STALE, ERR, MORE, WAIT, SETTLE

return each(function(base, device, policy, agent, lock_ttl, ttl_ms, last, messages, ignored, ticket,
    wait_ms, waited_ms, place, settle_ms, fleet, reserved, token, ...)
  messages = parts(messages)
  local t, taken, is_first = turn_before(base, device, ticket)
  local refusal = lock_refusal(base, device, agent, token, lock_ttl)
  if refusal then return answer(base, device, taken, ticket, refusal) end
  if t and (policy == 'reject' or policy == 'enqueue') then
    return wait_for_turn(t, ticket, wait_ms, waited_ms, place)
  end
  local s, how = choose(base, device, '', ...)
  if s and s.fenced and agent == '' and token == '' then
    return answer(base, device, taken, ticket, fence(s, ''))
  end
  local joins = t and policy == 'join'
  local seen = attempt('HMGET', base .. ':ledger', 'token', 'turns_running', 'turns_begun',
    'log_full')
  refusal = (agent ~= '' or not joins) and log_refusal(base, device, seen[4] or false)
  if refusal then return answer(base, device, taken, ticket, refusal) end
  if joins then
    local joined = join_turn(t, s, messages, agent, lock_ttl, fleet, reserved)
    return joined and answer(base, device, nil, ticket, joined)
      or wait_for_turn(t, ticket, wait_ms, waited_ms, place)
  end
  if s then
    refusal = #messages > 0 and s.chat > 0 and full_for(s, s.chat, #messages / 2)
      or not_to_live(s, reserved, fleet)
  else
    s, refusal = make(base, device, fleet, reserved, '', ...)
  end
  if refusal then return answer(base, device, taken, ticket, refusal) end
  -- The counts of turns are others then.
  if t then seen = replace_turn(t, policy, (...)) end
  last = tonumber(last)
  -- Before more is written: a chat whose key is corrupt fails it.
  local entries, bytes = {}, 0
  if s.chat > 0 then entries, bytes = read_newest(log_of(s, s.chat), last - #messages / 2) end
  if how ~= 'new' then recover(s, #messages > 0) end
  local chat, lock = s.chat > 0 and s.chat or add_chat(s, 'null', 'null', ''), nil
  t, lock = begin_turn(base, device, agent, lock_ttl, tonumber(ttl_ms), tonumber(settle_ms), s,
    chat, taken, ticket, seen, is_first)
  local seq, trimmed, said, length = nil, '', {}, nil
  if #messages > 0 then
    seq, trimmed, said, length = say(s, chat, messages)
    note_said(t, s.id, chat, seq - #messages / 2 + 1, seq)
  else
    seq = #entries == 0 and 0 or seq_of(entries[#entries]) or newest_seq(log_of(s, chat))
  end
  write_turn(t)
  local rest = (lock and ',"token":' .. lock or '') .. ',"session":"' .. s.id .. '","how":"' .. how
    .. '"' .. (how ~= 'new' and ignored ~= '' and ',"ignored":' .. ignored or '')
    .. ',"chat":' .. text(chat) .. ',"seq":' .. text(seq) .. trimmed
  local kept = table.concat({s.id, text(chat), text(last), t.turn, rest}, ' ')
  if t.settle ~= '' then return turn_settling.reply(t, kept), kept end
  local reply, size = shown_turn(s, '"turn":' .. t.turn .. ',"ttl_ms":' .. ttl_ms .. rest,
    waited_ms, newest_of(entries, bytes, said, last, length))
  return reply, kept, size
end, shown_again)
