-- Numbers in a session's record, and lines of them: the lengths of its clocks, the deadlines that
-- were warned of.
-- USES: nothing
-- GIVES: whole, numbers_of, clocks_of

-- A whole number that Lua can count by; nil if the text is none.
local function whole(line)
  local number = line and tonumber(line)
  return number and number >= 0 and number < 9007199254740992 and number or nil
end

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
  local known = clocks_known[line]
  if known ~= nil then return known end
  local list = {string.match(line, CLOCKS_FORM)}
  local lengths = #list == #CLOCKS and {}
  if lengths then
    for n, name in ipairs(CLOCKS) do lengths[name] = tonumber(list[n]) end
  end
  if clocks_count == NUMBERS_MAX then clocks_known, clocks_count = {}, 0 end
  clocks_known[line], clocks_count = lengths, clocks_count + 1
  return lengths
end
