-- The present ends of the logs: a reader that begins here misses no later event.
-- USES: batch, log_marks
-- KEYS: the base keys of partitions
-- ARGV: nothing
-- RETURNS: the id of each log's latest entry; for an empty log that of the latest that was dropped,
--   or an id before all that is written from now on, and for one that is corrupt `!` and such an id

return function(keys)
  local tails = {}
  for item = 1, #keys do
    local base = keys[item]
    local latest = attempt('XREVRANGE', base .. ':events', '+', '-', 'COUNT', 1)
    if latest.err then
      tails[item] = '!' .. log_marks.from_now()
    elseif latest[1] then
      tails[item] = latest[1][1]
    else
      tails[item] = log_marks.gone(base) or log_marks.from_now()
    end
  end
  return tails
end
