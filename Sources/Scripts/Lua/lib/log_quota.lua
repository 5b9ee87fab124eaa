-- Who is refused while a group keeps a log at its bound: a device with more than its share of it.
-- USES: batch, log_upkeep
-- RARELY: attend_log
-- GIVES: log_refusal

-- A full log is looked at again after so many ms, since a group may have been removed.
local AGAIN_MS = 100

-- The reason why a device may now begin nothing that writes an event, or will; or nil. `full` is
-- `log_full` of the ledger if it was read already.
local function log_refusal(base, device, full)
  local ledger = base .. ':ledger'
  if full == nil then full = attempt('HGET', ledger, 'log_full') end
  if type(full) ~= 'string' then return nil end
  local since = tonumber(full) or 0
  if since > now_ms or now_ms - since >= AGAIN_MS then
    attend_log(base)
    if not attempt('HGET', ledger, 'log_full') then return nil end
  end
  local share = attempt('HGET', base .. ':shares', 'd:' .. device)
  share = type(share) == 'string' and tonumber(share) or 0
  if share <= EVENT_SHARE_MAX then return nil end
  return string.format('ERR quota quota exceeded: %.0f of %.0f bytes of the event log by this '
    .. 'device, until consumer groups acknowledge its events', share, EVENT_SHARE_MAX)
end
