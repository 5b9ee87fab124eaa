-- The right to change a session, and the form of a change.
-- USES: batch, activity, lock_records, turn_records, session_index, session_users, session_load,
--   transitions, cleanup
-- RARELY: check_fence, wrong_state, is_theirs
-- GIVES: check_fence, fence, open_for_change, open_live, open_for_turn, touch, parts

-- Checks a fence: empty, the token of the device's live lock, or the number of its running turn;
-- for a request that is limited to some users, of a turn in their sessions. Returns a refusal, of a
-- session at this revision (JSON), or nil and the turn of a turn's.
local function check_fence(base, device, token, rev, users)
  if token == '' then return nil end
  local number = turn_of_fence(token)
  if number then
    local t = running_turn(base, device, number)
    if t and not is_theirs(base, device, t.session, users) then t = nil end
    return not t and stale_turn(base, device, number) or nil, t
  end
  local record = fetch_record(base, device)
  local ends_at, current
  if record then ends_at, current = read_record(record) end
  if record and not ends_at then corrupt_lock(base, device) end
  local is_current = ends_at and ends_at > now_text and current == token
  return not is_current and 'STALE {"rev":' .. rev .. '}' or nil
end

-- Refuses a change whose fence is not current, or missing where the session asks for one. The turn
-- of a turn's is `s.turn` from then on.
local function fence(s, token)
  if token == '' then return s.fenced and string.format('STALE {"rev":%d}', s.rev) or nil end
  local refusal
  refusal, s.turn = check_fence(s.base, s.device, token, text(s.rev), s.users)
  return refusal
end

-- A session that is to be changed: brought up to now, and the caller's right to change it
-- checked; `more` as for `load`. Returns the session, or nil and the reply that says why not.
local function open_for_change(base, device, id, token, more)
  local s = load(base, device, id, more)
  if not s then return nil, 'NONE' end
  settle(s)
  -- Its clocks may have removed it on the way, if it was not reaped for long.
  if s.is_gone then return nil, 'NONE' end
  local refusal = fence(s, token)
  if refusal then return nil, refusal end
  return s
end

-- The same, for changes that only a live session allows.
local function open_live(base, device, id, token, verb, more)
  local s, refusal = open_for_change(base, device, id, token, more)
  if not s then return nil, refusal end
  if not LIVE[s.state] then return nil, wrong_state(s, verb) end
  return s
end

-- The same for the session of the device's running turn.
local function open_for_turn(t, verb, more)
  local s = load(t.base, t.device, t.session, more)
  if not s then return nil, 'NONE' end
  settle(s)
  if s.is_gone then return nil, 'NONE' end
  if not LIVE[s.state] then return nil, wrong_state(s, verb) end
  s.turn = t
  return s
end

-- Notes activity. Its deadlines only move away, so the index is not written.
local function touch(s)
  note_activity(s)
  call('HSET', s.key, 'active', now_text)
end

-- Lengths and texts, one after another in one argument: `<n> <n bytes>` each.
local function parts(blob)
  local list, n, at, size = {}, 0, 1, #blob
  while at <= size do
    local length, first = string.match(blob, '^(%d+) ()', at)
    at, n = first + length, n + 1
    list[n] = cut(blob, first, at - 1)
  end
  return list
end
