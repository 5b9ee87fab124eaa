-- How many locks and live sessions some principals have in some partitions, by their marks. A count
-- that is corrupt counts as none.
-- USES: batch, ledger
-- KEYS: the base keys of the partitions
-- ARGV: marks (with a space between two)
-- RETURNS: the number of locks and that of live sessions of each, one after another
return function(keys, marks)
  local names, sums = {}, {}
  for mark in string.gmatch(marks, '%w+') do
    names[#names + 1], names[#names + 2] = 'locks:' .. mark, 'live:' .. mark
  end
  for n = 1, #names do sums[n] = 0 end
  for _, base in ipairs(keys) do
    local seen = attempt('HMGET', base .. ':ledger', unpack(names))
    for n = 1, seen.err and 0 or #names do
      if seen[n] then sums[n] = sums[n] + math.max(0, known_figure(seen[n]) or 0) end
    end
  end
  return sums
end
