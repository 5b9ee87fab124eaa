-- How a script publishes an event: in the same step as the change. A log that is corrupt takes
-- none, and keeps no operation from its end; its readers are notified that they have missed one.
-- USES: batch, log_upkeep, log_marks
-- RARELY: attend_log, log_marks
-- GIVES: publish

-- The log is attended to once in ATTEND_BYTES on average: how many of them a call may write before
-- it does so depends on the clock.
local written, attended_at, written_in = 0, 0, 0

-- `body` is the inside of a JSON object: what comes after type and device. `users` are those of an
-- event's session where it shows no links, each as JSON.
local function publish(base, kind, device, body, users)
  if traced.by then body = body .. ',"trace":"' .. traced.by .. '"' end
  local id = regardless(call, 'XADD', base .. ':events', '*', 't', kind, 'd', device, 'b', body,
    unpack(users and {'u', users} or {}))
  if not id then return log_marks.note_missed(base) end
  if written_in ~= call_number then
    written_in, written, attended_at = call_number, 0, now_us % ATTEND_BYTES
  end
  written = written + #device + #body + 48
  if written > attended_at then
    attended_at = written + ATTEND_BYTES
    -- What keeps it from that is reported by `trim`, and keeps no event from being written.
    pcall(attend_log, base)
  end
end
