-- The present ends of the logs: a reader that begins here misses no later event.
-- USES: batch, log_marks
-- KEYS: the base keys of partitions
-- ARGV: nothing
-- RETURNS: the id of each log's latest entry; for an empty log `~` and that of the newest that has
--   gone. From an id before all that is written from now on is to be read behind `?`, a log from
--   which nothing has gone, and behind `!`, one that is corrupt

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
      local gone = log_marks.gone(base)
      tails[item] = gone and '~' .. gone or '?' .. log_marks.from_now()
    end
  end
  return tails
end
