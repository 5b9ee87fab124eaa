-- The number of live sessions of some partitions, for the quota of all. A counter that is corrupt
-- counts as none.
-- USES: batch, ledger
-- KEYS: the base keys of the partitions
-- ARGV: nothing
-- RETURNS: a number
return function(keys)
  local sum = 0
  for _, base in ipairs(keys) do
    local seen = attempt('HMGET', base .. ':ledger', 'state:active', 'state:paused')
    for n = 1, seen.err and 0 or 2 do sum = sum + (known_figure(seen[n]) or 0) end
  end
  return sum
end
