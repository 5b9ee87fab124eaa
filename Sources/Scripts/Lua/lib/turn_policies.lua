-- What a request for a turn does with the lock, and with the turn that is running.
-- USES: batch, locks, session_index, chat_address, chat_writes, turn_records, turn_grants,
--   turn_settling, turn_ends, turn_rollback, turn_messages, turn_begin
-- GIVES: lock_refusal, replace_turn, join_turn
local JOINED_MAX = 1000

-- Why the lock does not allow the turn; or nil.
local function lock_refusal(base, device, agent, token)
  if agent == '' and token == '' then return nil end
  local record, holder, current, _, ends_at, is_grant = live(base, device)
  if record and agent ~= '' and (holder ~= agent or is_grant) then
    return held_by(holder, ends_at)
  end
  if token == '' or token == current then return nil end
  return record and stale(holder, ends_at) or 'STALE {"agent":null}'
end

-- Ends the running turn for another one. A grant has said nothing: its caller waits on.
local function replace_turn(t, policy)
  if policy == 'rollback' then roll_back(t) end
  if t.ticket ~= '' then turn_grants.put_back(t) end
  end_turn(t, t.ticket == '' and 'interrupted' or 'done')
end

-- Says the messages in the chat of the running turn; nil if that is not where they belong. With an
-- agent the lock is taken or renewed too.
local function join_turn(t, s, messages, agent, lock_ttl)
  if not s or s.id ~= t.session or not LIVE[s.state] or not chat_of(s, text(t.chat)) then
    return nil
  end
  local waiting = joined_seqs(t, 0)
  if t.settle == '' and #waiting + #messages / 2 > JOINED_MAX then
    return 'ERR quota quota exceeded: ' .. #waiting .. ' of ' .. JOINED_MAX
      .. ' messages that wait for the running turn'
  end
  local seq, rest = say(s, t.chat, messages)
  if not seq then return rest end
  if t.settle ~= '' then
    turn_settling.put_off(t)
  else
    for n = seq - #messages / 2 + 1, seq do waiting[#waiting + 1] = text(n) end
    call('HSET', turn_key(t.base, t.device), 'joined', table.concat(waiting, ' '))
  end
  if agent ~= '' then take_lock(t.base, t.device, agent, lock_ttl, t.ends_at - now_ms) end
  return 'OK {"joined":' .. t.turn .. ',"seq":' .. text(seq) .. rest .. '}'
end
