-- TURN: begins a turn of a device, in a session that is recovered or made for it, and says its
-- message; or joins the message to the turn that runs.
-- USES: batch, requests, session_choice, cleanup, session_changes, session_create, live_quota,
--   log_quota, messages, chat_records, chat_limits, chat_writes, queue, turn_grants, turn_ends,
--   turn_policies, turn_settling, turn_begin, turn_shown
-- KEYS: the base key of each request's partition
-- ARGV: device, policy, agent?, lock_ttl, ttl_ms, last, messages? (each after whose it is),
--   ignored? (JSON), ticket?, wait_ms, waited_ms, place?, settle_ms, session, thread (JSON),
--   clocks, is_fenced?, members, links?, session_policy?, fleet?, reserved?, token?, req?
-- RETURNS: OK, HELD, BUSY, NONE, STALE, ERR, MORE, WAIT, SETTLE

-- Answers a request that begins no turn and waits no more: a turn that was granted to it goes to
-- the next one. Not if it asks for reservations, and comes again.
local function answer(base, device, taken, ticket, reply)
  if cut(reply, 1, 5) == 'MORE ' then return reply end
  if taken then
    end_turn(taken, 'done')
    turn_grants.next(base, device)
  elseif ticket ~= '' then
    queue.leave(base, 't', device, ticket)
  end
  return reply
end

return each(function(base, device, policy, agent, lock_ttl, ttl_ms, last, messages, ignored, ticket,
    wait_ms, waited_ms, place, settle_ms, session, thread, clocks, is_fenced, members, links,
    session_policy, fleet, reserved, token)
  messages = parts(messages)
  -- Callers wait where no turn runs only if its record was removed by other means.
  local t, taken = live_turn(base, device) or turn_grants.next(base, device), nil
  if t and t.ticket ~= '' and queue.is_same(ticket, t.ticket) then t, taken = nil, t end
  local refusal = lock_refusal(base, device, agent, token)
  if refusal then return answer(base, device, taken, ticket, refusal) end
  if t and (policy == 'reject' or policy == 'enqueue') then
    return wait_for_turn(t, ticket, wait_ms, waited_ms, place)
  end
  -- A new one's own id is no thread to look for.
  local wanted = thread ~= '"' .. session .. '"' and thread or ''
  local s, how = choose(base, device, '', links, wanted)
  if s and s.fenced and agent == '' and token == '' then
    return answer(base, device, taken, ticket, fence(s, ''))
  end
  local joins = t and policy == 'join'
  refusal = (agent ~= '' or not joins) and log_refusal(base, device)
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
    s, refusal = make(base, device, session, thread, clocks, is_fenced, members, links,
      session_policy, fleet, reserved, '')
  end
  if refusal then return answer(base, device, taken, ticket, refusal) end
  if t then replace_turn(t, policy) end
  if how ~= 'new' then recover(s) end
  local chat, lock = s.chat > 0 and s.chat or add_chat(s, 'null', 'null', ''), nil
  t, lock = begin_turn(base, device, agent, lock_ttl, tonumber(ttl_ms), tonumber(settle_ms), s,
    chat, taken, ticket)
  local seq, trimmed = newest_seq(log_of(s, chat)), ''
  if #messages > 0 then seq, trimmed = say(s, chat, messages, t) end
  local rest = (lock and ',"token":' .. lock or '') .. ',"session":"' .. s.id .. '","how":"' .. how
    .. '"' .. (how ~= 'new' and ignored ~= '' and ',"ignored":' .. ignored or '')
    .. ',"chat":' .. text(chat) .. ',"seq":' .. text(seq) .. trimmed
  local kept = table.concat({s.id, text(chat), last, t.turn, rest}, ' ')
  if t.settle ~= '' then return turn_settling.reply(t, kept), kept end
  local reply, size = shown_turn(s, chat, tonumber(last),
    '"turn":' .. t.turn .. ',"ttl_ms":' .. ttl_ms .. rest, waited_ms)
  return reply, kept, size
end, shown_again)
