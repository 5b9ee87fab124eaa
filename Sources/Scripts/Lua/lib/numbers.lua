-- Lines of numbers in a session's record: the lengths of its clocks, the deadlines that were warned
-- of.
-- USES: nothing
-- GIVES: numbers_of, clocks_of

-- A line of numbers, each as a number; most sessions have the same clocks. The results are kept
-- from call to call, but not without bound.
local numbers, numbers_kept, NUMBERS_MAX = {}, 0, 256
local function numbers_of(line)
  if numbers[line] then return numbers[line] end
  local list = {}
  for number in string.gmatch(line, '%d+') do list[#list + 1] = tonumber(number) end
  if numbers_kept == NUMBERS_MAX then numbers, numbers_kept = {}, 0 end
  numbers[line], numbers_kept = list, numbers_kept + 1
  return list
end

-- The lengths of a session's clocks by their names, from its record's line; false if it is corrupt.
local clocks_known, clocks_count = {}, 0
local function clocks_of(line)
  if clocks_known[line] ~= nil then return clocks_known[line] end
  local list, lengths, n = numbers_of(line), {}, 0
  for name in string.gmatch(CLOCKS, '%l+') do
    n = n + 1
    lengths[name] = list[n]
  end
  if clocks_count == NUMBERS_MAX then clocks_known, clocks_count = {}, 0 end
  clocks_known[line], clocks_count = #list == n and lengths, clocks_count + 1
  return clocks_known[line]
end
