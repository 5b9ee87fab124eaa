-- What a request for a turn does with the lock, and with the turn that is running.
-- USES: batch, lock_records, locks, session_users, cleanup, live_quota, chat_address,
--   chat_limits, chat_writes, queue, queue_entry, turn_records, turn_grants, turn_settling,
--   turn_ends, turn_rollback, turn_messages, turn_begin, turn_shown
-- RARELY: live, held_by, stale
-- GIVES: lock_refusal, wait_for_turn, replace_turn, join_turn
local JOINED_MAX = 1000

-- Why the lock does not allow the turn, or the quota of locks a further one; or nil.
local function lock_refusal(base, device, agent, token, ttl)
  if agent == '' and token == '' then return nil end
  local record, holder, current, _, ends_at = live(base, device)
  if record and agent ~= '' and holder ~= agent then return held_by(holder, ends_at) end
  if not record and token == '' then return lock_quota(ttl) end
  if token == '' or token == current then return nil end
  return record and stale(holder, ends_at) or 'STALE {"agent":null}'
end

-- The reply to a request that cannot begin now: it waits if it has a ticket and time. The ticket of
-- one that only settles says whose turn that is.
local function wait_for_turn(t, ticket, wait_ms, waited_ms, place)
  return ticket ~= '' and wait_ms ~= '0'
      and enter_queue(t.base, 't', t.device, ticket, wait_ms, waited_ms, place, t.ticket)
    or busy(t, queue.length(t.base, 't', t.device))
end

-- Ends the running turn for another one. A grant has said nothing: its caller waits on. What is
-- said in a session stays if the request is limited to other users: they stand behind `session`.
-- Returns nothing.
local function replace_turn(t, policy, session)
  local _, users = split_users(session)
  if policy == 'rollback' and is_theirs(t.base, t.device, t.session, users) then roll_back(t) end
  if t.ticket ~= '' then turn_grants.put_back(t) end
  end_turn(t, t.ticket == '' and 'interrupted' or 'done')
end

-- Says the messages in the chat of the running turn, whose session becomes active if it is not; nil
-- if that is not where they belong. With an agent the lock is taken or renewed too.
local function join_turn(t, s, messages, agent, lock_ttl, fleet, reserved)
  if not s or s.id ~= t.session or not chat_of(s, text(t.chat)) then return nil end
  local waiting = joined_seqs(t, 0)
  if t.settle == '' and #waiting + #messages / 2 > JOINED_MAX then
    return 'ERR quota quota exceeded: ' .. #waiting .. ' of ' .. JOINED_MAX
      .. ' messages that wait for the running turn'
  end
  local refusal = full_for(s, t.chat, #messages / 2) or not_to_live(s, reserved, fleet)
  if refusal then return refusal end
  recover(s)
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
