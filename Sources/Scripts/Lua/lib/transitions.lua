-- Transitions of a session from state to state: all of them go through this function.
-- USES: batch, ledger, session_index, session_warnings, links, clocks, device_lines, device_current
-- RARELY: transition, announce, warn
-- GIVES: index, transition, settle

local EVENT = {active = 'resumed', paused = 'paused', abandoned = 'abandoned',
  archived = 'archived', expired = 'expired', completed = 'closed', failed = 'closed'}

-- Puts the session's next deadline into the index.
local function index(s)
  local at = next_due(s)
  if at then
    regardless(call, 'ZADD', s.base .. ':due', text(at), due_member(s))
  else
    regardless(call, 'ZREM', s.base .. ':due', due_member(s))
  end
end

-- Changes the state, publishes the event, and updates every figure. `reason` is JSON. A clock may
-- have gone back since the last change: no time was spent then.
local function transition(s, to, at_ms, reason, kind)
  local from, since, member = s.state, s.since, due_member(s)
  s.state, s.since, s.rev, s.reason, s.flat = to, at_ms, s.rev + 1, reason or 'null', nil
  -- First the writes that a full Redis refuses: before Redis 7 it would do the removal all the
  -- same, and the session would never be reaped again.
  -- An archived session keeps the time at which it ended.
  local ended = to == 'archived' and {'ended', text(LIVE[from] and at_ms or since)} or {}
  call('HSET', s.key, 'state', to, 'since', text(at_ms), 'rev', s.rev, 'reason', s.reason,
    'updated', text(at_ms), unpack(ended))
  regardless(call, 'ZREM', s.base .. ':due', member)
  local spent = text(math.max(0, at_ms - since))
  -- A figure that is corrupt begins again.
  if type(attempt('HINCRBY', s.key, 's:' .. from, spent)) == 'table' then
    call('HSET', s.key, 's:' .. from, spent)
  end
  count(s.base, 'state:' .. from, -1)
  count(s.base, 'state:' .. to, 1)
  if (LIVE[from] or LIVE[to]) and not (LIVE[from] and LIVE[to]) then
    count_chats(s.base, #s.chats, LIVE[to] and 1 or -1)
    count_live(s, LIVE[to] and 1 or -1)
    if LIVE[to] then
      regardless(make_current, s.base, s.device, s.id)
    else
      regardless(has_ended, s.base, s.device, s.id)
    end
    -- A user's quota counts live sessions; no other link does.
    enqueue_links(s, s.links, 'user')
  end
  if EVENT[to] == 'closed' or to == 'expired' then count(s.base, EVENT[to], 1) end
  set_ttl(s, gone_by(s))
  announce(s, kind or EVENT[to], at_ms)
  index(s)
end

-- Does all that is due by now, oldest first. Returns how late each state change was. A session
-- whose keep has ended with it is gone: its caller checks `is_gone`.
local function settle(s)
  local late, at, what = {}, next_due(s)
  while at and at <= now_ms and what ~= 'gone' do
    if what == 'idle' or what == 'life' then
      warn(s, what, at)
    else
      transition(s, what, at, what == 'paused' and '"idle"' or 'null')
    end
    late[#late + 1] = now_ms - at
    at, what = next_due(s)
  end
  if what == 'gone' and at <= now_ms then s.is_gone = true end
  return late
end
