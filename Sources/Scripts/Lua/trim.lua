-- Keeps a partition's log within its limits, its age included.
-- USES: batch, log_upkeep
-- KEYS: the partition's base key
-- ARGV: age_max_ms
-- RETURNS: the bytes of the log or -1 if it is corrupt, 1 if devices are refused else 0, the ms
--   since the oldest event that a group in use has not acknowledged or 0, how many events were lost

return function(keys, age_max_ms)
  local base = keys[1]
  local bytes, is_full, held = attend_log(base, string.format('%.0f-0', now_ms - age_max_ms))
  if not bytes then return {-1, 0, 0, 0} end
  local unread = held and call('XRANGE', base .. ':events', held, '+', 'COUNT', 1)[1]
  local since_ms = unread and math.max(0, now_ms - string.match(unread[1], '^%d+')) or 0
  local lost = attempt('HGET', base .. ':ledger', 'log_lost')
  return {bytes, is_full and 1 or 0, since_ms, type(lost) == 'string' and tonumber(lost) or 0}
end
