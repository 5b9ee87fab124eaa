-- How entries are acknowledged.
-- USES: batch, log_upkeep
-- GIVES: acknowledge

-- Acknowledges the entry of each of these partitions for a group; returns how many were pending.
-- Those of a log that is corrupt count as not pending.
local function acknowledge(keys, group, ids)
  local acked, done = 0, {}
  for item = 1, #keys do
    local count = attempt('XACK', keys[item] .. ':events', group, ids[item])
    if type(count) == 'number' and count > 0 then
      acked, done[keys[item]] = acked + count, true
    end
  end
  -- A log that is full may have room now.
  for base in pairs(done) do
    if type(attempt('HGET', base .. ':ledger', 'log_full')) == 'string' then attend_log(base) end
  end
  return acked
end
