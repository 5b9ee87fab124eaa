-- How a script writes an event: in the same step as the change that it tells of.
-- USES: batch
-- GIVES: tell

-- `body` is the inside of a JSON object: what comes after type and device.
local function tell(base, kind, device, body)
  call('XADD', base .. ':events', 'MAXLEN', '~', EVENTS_MAX, '*',
    't', kind, 'd', device, 'b', body)
end
