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

-- The lengths in a line that another version has written, which has a clock less or more; those
-- that it knows more of are `surplus`. False if it is corrupt.
local function clocks_of_other(line)
  local list, lengths, surplus = {}, {}, {}
  for number in string.gmatch(line .. ' ', '(%d+) ') do list[#list + 1] = number end
  if #list < CLOCKS_LEAST or table.concat(list, ' ') ~= line then return false end
  for n, name in ipairs(CLOCKS) do lengths[name] = tonumber(list[n] or 0) end
  for n = #CLOCKS + 1, #list do surplus[#surplus + 1] = ' ' .. list[n] end
  lengths.surplus = table.concat(surplus)
  return lengths
end

-- The lengths of a session's clocks by their names, from its record's line; false if it is corrupt.
local clocks_known, clocks_count = {}, 0
local function clocks_of(line)
  local known = clocks_known[line]
  if known ~= nil then return known end
  local list = {string.match(line, CLOCKS_FORM)}
  local lengths = {}
  if #list < #CLOCKS then
    lengths = clocks_of_other(line)
  else
    for n, name in ipairs(CLOCKS) do lengths[name] = tonumber(list[n]) end
  end
  if clocks_count == NUMBERS_MAX then clocks_known, clocks_count = {}, 0 end
  clocks_known[line], clocks_count = lengths, clocks_count + 1
  return lengths
end
