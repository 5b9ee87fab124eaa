-- The warnings before a session's clocks end.
-- USES: batch, session_index, clocks, numbers, log_quota
-- GIVES: warn

-- Whether a clock may warn: while the device is refused because of the event log, once, or each
-- activity, which is not refused, would cause another event.
local function may_warn(s, clock)
  if not log_refusal(s.base, s.device) then return true end
  local from = attempt('HGET', s.base .. ':ledger', 'log_full_from')
  local warned = numbers_of(call('HGET', s.key, 'warned_full') or '0 0')
  local idle, life = warned[1], warned[2]
  local before = clock == 'idle' and idle or life
  from = type(from) == 'string' and tonumber(from)
  if not from or before == from then return false end
  if clock == 'idle' then idle = from else life = from end
  call('HSET', s.key, 'warned_full', string.format('%.0f %.0f', idle or 0, life or 0))
  return true
end

-- Warns that a clock ends: once for each of its deadlines.
local function warn(s, clock, at_ms)
  local warned = numbers_of(s.warned)
  local idle, life = warned[1] or 0, warned[2] or 0
  if clock == 'idle' then idle = idle_at(s) else life = life_at(s) end
  s.warned, s.flat = string.format('%.0f %.0f', idle, life), nil
  call('HSET', s.key, 'warned', s.warned)
  if not may_warn(s, clock) then return end
  announce(s, 'expiring', at_ms,
    string.format(',"clock":"%s","in_ms":%d', clock, s.clocks.warn))
end
