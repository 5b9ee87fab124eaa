-- REPORT agent=: one agent's locks. An agent past the number that a partition keeps figures of
-- has only what it holds now. Figures that are corrupt are left out and named.
-- USES: batch, ledger
-- KEYS: the base keys of all partitions
-- ARGV: agent
-- RETURNS: OK

return function(keys, agent)
  local held, ended, sum, longest, lost, damaged = 0, 0, 0, 0, 0, {'', ''}
  for _, base in ipairs(keys) do
    local seen = attempt('HMGET', base .. ':ledger', 'held:' .. agent, 'agent:' .. agent)
    if seen.err then seen = {'', ''} end
    local now_held, n, ms, most, gone = known_figure(seen[1]), tally_of(seen[2])
    held = held + (now_held or 0)
    if not now_held then damaged[1] = ',"held"' end
    if n then
      ended, sum, lost = ended + n, sum + ms, lost + gone
      longest = math.max(longest, most)
    else
      damaged[2] = ',"ended","abandoned","held_ms_mean","held_ms_longest"'
    end
  end
  local names = cut(damaged[1] .. damaged[2], 2)
  return string.format('OK {"agent":"%s","held":%d,"ended":%.0f,"abandoned":%.0f,'
    .. '"held_ms_mean":%.0f,"held_ms_longest":%.0f%s}', agent, held, ended, lost,
    ended > 0 and sum / ended or 0, longest, names ~= '' and ',"damaged":[' .. names .. ']' or '')
end
