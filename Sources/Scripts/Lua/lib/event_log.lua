-- How a script publishes an event: in the same step as the change.
-- USES: batch
-- GIVES: publish

-- `body` is the inside of a JSON object: what comes after type and device.
local function publish(base, kind, device, body)
  call('XADD', base .. ':events', 'MAXLEN', '~', text(EVENTS_MAX), '*',
    't', kind, 'd', device, 'b', body)
end
