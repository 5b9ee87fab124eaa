-- How a script publishes an event: in the same step as the change.
-- USES: batch, log_upkeep
-- RARELY: attend_log
-- GIVES: publish

-- The log is attended to once in ATTEND_BYTES on average: how many of them a call may write before
-- it does so depends on the clock.
local written, attended_at, written_in = 0, 0, 0

-- `body` is the inside of a JSON object: what comes after type and device.
local function publish(base, kind, device, body)
  call('XADD', base .. ':events', '*', 't', kind, 'd', device, 'b', body)
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
