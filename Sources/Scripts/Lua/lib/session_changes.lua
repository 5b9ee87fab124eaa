-- The right to change a session, and the form of a change.
-- USES: batch, lock_records, session_index, session_load, transitions, cleanup
-- GIVES: is_current, fence, open_for_change, open_live, touch, parts

-- Whether a token is the one of the device's live lock.
local function is_current(base, device, token)
  local record = fetch_record(base, device)
  if not record then return false end
  local ends_at, current = read_record(record)
  if not ends_at then corrupt_lock(base, device) end
  return ends_at > now_text and current == token
end

-- Refuses a change whose token is not current, or missing where the session asks for one.
local function fence(s, token)
  if token == '' and not s.fenced then return nil end
  if token ~= '' and is_current(s.base, s.device, token) then return nil end
  return string.format('STALE {"rev":%d}', s.rev)
end

-- A session that is to be changed: brought up to now, and the caller's right to change it
-- checked; further members as for `load`. Returns the session, or nil and the reply that says why
-- not.
local function open_for_change(base, device, id, token, ...)
  local s = load(base, device, id, ...)
  if not s then return nil, 'NONE' end
  settle(s)
  -- Its clocks may have removed it on the way, if it was not reaped for long.
  if s.is_gone then return nil, 'NONE' end
  local refusal = fence(s, token)
  if refusal then return nil, refusal end
  return s
end

-- The same, for changes that only a live session allows.
local function open_live(base, device, id, token, verb, ...)
  local s, refusal = open_for_change(base, device, id, token, ...)
  if not s then return nil, refusal end
  if not LIVE[s.state] then return nil, wrong_state(s, verb) end
  return s
end

-- Notes activity. Its deadlines only move away, so the index is not written.
local function touch(s)
  s.active = now_ms
  call('HSET', s.key, 'active', now_text)
end

-- Lengths and texts, one after another in one argument: `<n> <n bytes>` each.
local function parts(blob)
  local at, list = 1, {}
  while at <= #blob do
    local space = find(blob, ' ', at, true)
    local n = tonumber(cut(blob, at, space - 1))
    list[#list + 1] = cut(blob, space + 1, space + n)
    at = space + n + 1
  end
  return list
end
