-- The ids of a stream's entries, `<ms>-<number>`, in the order of the stream.
-- USES: nothing
-- GIVES: is_before, id_after, id_before

local function is_before(one, other)
  local ms, n = string.match(one, '^(%d+)-(%d+)$')
  local other_ms, other_n = string.match(other, '^(%d+)-(%d+)$')
  if ms ~= other_ms then return tonumber(ms) < tonumber(other_ms) end
  return tonumber(n) < tonumber(other_n)
end

-- The next id. Lua counts exactly up to 2^53: after a greater number the millisecond ends.
local function id_after(id)
  local ms, n = string.match(id, '^(%d+)-(%d+)$')
  if tonumber(n) >= 9007199254740991 then return string.format('%.0f-0', ms + 1) end
  return string.format('%s-%.0f', ms, n + 1)
end

-- The id before this one, as far as Lua counts.
local function id_before(id)
  local ms, n = string.match(id, '^(%d+)-(%d+)$')
  if tonumber(n) == 0 then return string.format('%.0f-9007199254740991', ms - 1) end
  return string.format('%s-%.0f', ms, n - 1)
end
