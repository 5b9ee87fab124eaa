-- REPORT agent=: one agent's locks. An agent past the number that a partition keeps figures of
-- has only what it holds now.
-- USES: nothing
-- KEYS: the base keys of all partitions
-- ARGV: agent
-- RETURNS: OK

return function(KEYS, ARGV)
  local held, ended, sum, longest, lost = 0, 0, 0, 0, 0
  for _, base in ipairs(KEYS) do
    local seen = redis.call('HMGET', base .. ':ledger', 'held:' .. ARGV[1], 'agent:' .. ARGV[1])
    held = held + (seen[1] or 0)
    local n, ms, most, gone = string.match(seen[2] or '', '^(%d+) (%d+) (%d+) (%d+)$')
    if not n then n, ms, most, gone = 0, 0, 0, 0 end
    ended, sum, lost = ended + n, sum + ms, lost + gone
    longest = math.max(longest, tonumber(most))
  end
  return string.format('OK {"agent":"%s","held":%d,"ended":%.0f,"abandoned":%.0f,'
    .. '"held_ms_mean":%.0f,"held_ms_longest":%.0f}', ARGV[1], held, ended, lost,
    ended > 0 and sum / ended or 0, longest)
end
