-- TURN: begins a turn of a device, in a session that is recovered or made for it, and says its
-- message; or joins the message to the turn that runs.
-- USES: batch, requests, locks, session_index, session_choice, cleanup, session_changes,
--   session_create, live_quota, log_quota, messages, chat_records, chat_writes, turn_records,
--   turn_ends, turn_rollback, turn_messages, turn_begin
-- KEYS: the base key of each request's partition
-- ARGV: device, policy, agent?, lock_ttl, ttl_ms, last, messages? (each after whose it is),
--   ignored? (JSON), session, thread (JSON), clocks, is_fenced?, members, links?, reserved?,
--   token?, req?
-- RETURNS: OK, HELD, BUSY, NONE, STALE, ERR, MORE
local JOINED_MAX = 1000

-- Why the lock does not allow the turn; or nil.
local function lock_refusal(base, device, agent, token)
  if agent == '' and token == '' then return nil end
  local record, holder, current, _, ends_at = live(base, device)
  if record and agent ~= '' and holder ~= agent then return held_by(holder, ends_at) end
  if token == '' or token == current then return nil end
  return record and stale(holder, ends_at) or 'STALE {"agent":null}'
end

-- Says the messages in the chat of the running turn; nil if that is not where they belong.
local function join(t, s, messages)
  if not s or s.id ~= t.session or not LIVE[s.state] or not chat_of(s, text(t.chat)) then
    return nil
  end
  local waiting = joined_seqs(t, 0)
  if #waiting + #messages / 2 > JOINED_MAX then
    return 'ERR quota quota exceeded: ' .. #waiting .. ' of ' .. JOINED_MAX
      .. ' messages that wait for the running turn'
  end
  local seq = say(s, t.chat, messages)
  for n = seq - #messages / 2 + 1, seq do waiting[#waiting + 1] = text(n) end
  call('HSET', turn_key(t.base, t.device), 'joined', table.concat(waiting, ' '))
  return 'OK {"joined":' .. t.turn .. ',"seq":' .. text(seq) .. '}'
end

return each(function(base, device, policy, agent, lock_ttl, ttl_ms, last, messages, ignored,
    session, thread, clocks, is_fenced, members, links, reserved, token)
  messages = parts(messages)
  local refusal = lock_refusal(base, device, agent, token)
  if refusal then return refusal end
  local t = live_turn(base, device)
  if t and (policy == 'reject' or policy == 'enqueue') then return busy(t, 0) end
  -- A new one's own id is no thread to look for.
  local wanted = thread ~= '"' .. session .. '"' and thread or ''
  local s, how = choose(base, device, '', links, wanted)
  if s and s.fenced and agent == '' and token == '' then return fence(s, '') end
  if t and policy == 'join' then return join(t, s, messages) or busy(t, 0) end
  refusal = log_refusal(base, device)
  if refusal then return refusal end
  if s then
    refusal = not_to_live(s, reserved)
  else
    s, refusal = make(base, device, session, thread, clocks, is_fenced, members, links, reserved,
      '')
  end
  if refusal then return refusal end
  if t then
    if policy == 'rollback' then roll_back(t) end
    end_turn(t, 'interrupted')
  end
  if how ~= 'new' then recover(s) end
  local chat, lock = s.chat > 0 and s.chat or add_chat(s, 'null', 'null'), nil
  t, lock = begin_turn(base, device, agent, lock_ttl, tonumber(ttl_ms), s, chat)
  local seq = #messages > 0 and say(s, chat, messages, t) or newest_seq(log_of(s, chat))
  local rest = (lock and ',"token":' .. lock or '') .. ',"session":"' .. s.id .. '","how":"' .. how
    .. '","chat":' .. text(chat) .. ',"seq":' .. text(seq) .. ',"waited_ms":0'
    .. (how ~= 'new' and ignored ~= '' and ',"ignored":' .. ignored or '')
  local reply, size = shown_turn(s, chat, tonumber(last),
    '"turn":' .. t.turn .. ',"ttl_ms":' .. ttl_ms .. rest)
  return reply, table.concat({s.id, text(chat), last, t.turn, rest}, ' '), size
end, shown_again)
