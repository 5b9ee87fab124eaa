-- The index of a partition's sessions by their last activity: `activity` has `<device>/<session>`
-- with the time of an activity, in ms. Only the first one of each minute is noted, so an entry is
-- less than a minute behind its session.
-- USES: batch
-- GIVES: index_activity, is_new_minute, note_activity, check_activity, drop_activity
local MINUTE_MS = 60000

-- A missing or corrupt index fails no request: `repair_activity` makes it right.
local function index_activity(base, device, id, at_ms)
  regardless(call, 'ZADD', base .. ':activity', text(at_ms), device .. '/' .. id)
end

-- Whether two times are in different minutes.
local function differ(one_ms, other_ms)
  return one_ms - one_ms % MINUTE_MS ~= other_ms - other_ms % MINUTE_MS
end

-- Whether an activity now is the first one in its minute, after the last one at `before_ms`.
local function is_new_minute(before_ms) return differ(before_ms, now_ms) end

-- A session is active now; its record is written by the caller.
local function note_activity(s)
  if differ(s.active, now_ms) then index_activity(s.base, s.device, s.id, now_ms) end
  s.active = now_ms
end

-- Puts right the entry of a session that is met anyway.
local function check_activity(s)
  local at = attempt('ZSCORE', s.base .. ':activity', s.device .. '/' .. s.id)
  local noted = type(at) == 'string' and tonumber(at)
  if not noted or differ(noted, s.active) then index_activity(s.base, s.device, s.id, s.active) end
end

local function drop_activity(base, device, id)
  attempt('ZREM', base .. ':activity', device .. '/' .. id)
end
