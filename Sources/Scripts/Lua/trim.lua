-- Keeps a partition's log within its limits, its age included.
-- USES: batch, log_upkeep
-- KEYS: the partition's base key
-- ARGV: age_max_ms
-- RETURNS: the bytes of the log or -1 if it is corrupt, 1 if devices are refused else 0, the ms
--   since the oldest event that a group in use has not acknowledged or 0, how many events were
--   lost, and of each group in use its name and the same ms of that group alone

-- How long ago the oldest entry from an id on came, in ms; 0 without one.
local function age_from(log, id)
  local entry = id and call('XRANGE', log, id, '+', 'COUNT', 1)[1]
  return entry and math.max(0, now_ms - string.match(entry[1], '^%d+')) or 0
end

return function(keys, age_max_ms)
  local base = keys[1]
  local log, lags = base .. ':events', {}
  local old = string.format('%.0f-0', now_ms - age_max_ms)
  local bytes, is_full, held, groups = attend_log(base, old)
  if not bytes then return {-1, 0, 0, 0, lags} end
  for _, group in ipairs(groups) do
    if group.is_awaited then
      lags[#lags + 1], lags[#lags + 2] = group.name, age_from(log, group.from)
    end
  end
  local lost = attempt('HGET', base .. ':ledger', 'log_lost')
  return {bytes, is_full and 1 or 0, age_from(log, held),
    type(lost) == 'string' and tonumber(lost) or 0, lags}
end
