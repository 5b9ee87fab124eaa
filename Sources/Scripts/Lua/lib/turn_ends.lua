-- How a turn ends: once, because its record goes in the same step.
-- USES: batch, session_users, pushes, ledger, event_log, turn_records, turn_said, turn_settling,
--   turn_grants
-- RARELY: remember_interrupted, expire, publish, said_members, turn_settling, turn_grants,
--   users_of_turn
-- GIVES: end_turn, live_turn, interrupt_turn, reap_turn

-- Remembers for ten minutes that a turn was interrupted; of a device's turns the newest 16.
local REMEMBERED_MS, REMEMBERED_MAX = 600000, 16
local function remember_interrupted(t)
  local key, numbers = t.base .. ':interrupted:' .. t.device, {t.turn}
  for other in string.gmatch(fetch(key) or '', '%d+') do
    if #numbers < REMEMBERED_MAX then numbers[#numbers + 1] = other end
  end
  call('SET', key, table.concat(numbers, ' '), 'PX', REMEMBERED_MS)
end

-- The users of a turn's session, each as JSON; nil without any.
local function users_of_turn(t)
  local links = attempt('HGET', t.base .. ':session:' .. t.device .. '/' .. t.session, 'links')
  local users = users_in(type(links) == 'string' and links or '')
  return users ~= '' and '"' .. string.gsub(users, ',', '","') .. '"' or nil
end

-- Ends a turn: it is `done`, `abandoned` or `interrupted`.
local function end_turn(t, ending)
  call('DEL', turn_key(t.base, t.device), draft_key(t.base, t.device))
  attempt('ZREM', t.base .. ':due', 't:' .. t.device)
  count(t.base, 'turns_running', -1)
  if t.settle ~= '' then turn_settling.ended(t) end
  -- What has expired is an event of the log.
  if ending ~= 'abandoned' and t.session ~= '' then push_ended(t, ending) end
  if ending == 'done' then return end
  count(t.base, 'turns_' .. ending, 1)
  if ending == 'interrupted' then return remember_interrupted(t) end
  publish(t.base, 'turn.abandoned', t.device, string.format(
    '"at":%.0f,"turn":%s,"agent":%s,"session":"%s","chat":%.0f,', t.ends_at, t.turn,
    t.agent ~= '' and '"' .. t.agent .. '"' or 'null', t.session, t.chat) .. said_members(t),
    users_of_turn(t))
end

-- Ends a turn whose time is over, and grants the next one, which it returns.
local function expire(t)
  if t.ticket ~= '' then turn_grants.pass_over(t) end
  end_turn(t, t.ticket == '' and 'abandoned' or 'done')
  return turn_grants.next(t.base, t.device)
end

-- The device's turn, or nil; one that has expired is ended as abandoned on the way.
local function live_turn(base, device)
  local t = fetch_turn(base, device)
  if t and t.ends_at <= now_ms then return expire(t) end
  -- Further away than its TTL, it was set by a clock that has gone back since.
  local ttl_ms = t and t.settle ~= '' and turn_settling.WAIT_MS or t and t.ttl_ms
  if t and t.ends_at - now_ms > ttl_ms + 1000 and is_plausible() then
    t.ends_at = now_ms + ttl_ms
    call('HSET', turn_key(base, device), 'ends', text(t.ends_at))
    regardless(call, 'ZADD', base .. ':due', text(t.ends_at), 't:' .. device)
  end
  return t
end

-- Interrupts the device's turn if it was begun with an agent: its lock is another's now.
local function interrupt_turn(base, device)
  local t = live_turn(base, device)
  if not t or t.agent == '' then return end
  end_turn(t, 'interrupted')
  turn_grants.next(base, device)
end

-- Ends the device's turn if it has expired, or enters its deadline in the index anew. Returns how
-- late the ending was, in ms, or nil.
local function reap_turn(base, member, device)
  local before, t = fetch_turn(base, device), live_turn(base, device)
  if t then call('ZADD', base .. ':due', text(t.ends_at), member) end
  if not t and not before then call('ZREM', base .. ':due', member) end
  return before and before.ends_at <= now_ms and now_ms - before.ends_at or nil
end
