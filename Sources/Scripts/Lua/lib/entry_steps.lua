-- How many entries of a chat are read at once, so that what is read is bounded in bytes.
-- USES: nothing
-- GIVES: bytes_of, step_of

-- How many bytes entries have, and the longest of these and of those before them.
local function bytes_of(entries, longest)
  local bytes = 0
  longest = longest or 1
  for n = 1, #entries do
    local size = #entries[n]
    bytes = bytes + size
    if size > longest then longest = size end
  end
  return bytes, longest
end

-- How many entries are read next, `most` at most: as many as have room if each is as long as the
-- longest so far, of which nothing is known at first.
local STEP_FIRST, STEP_MOST = 4, 32
local function step_of(room, longest, most)
  local step = longest and math.floor(room / longest) or STEP_FIRST
  return math.max(1, math.min(step, STEP_MOST, most))
end
