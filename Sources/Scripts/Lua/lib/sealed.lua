-- Values that a worker has sealed: JSON strings that begin with a byte which no caller's has, then
-- the id of the key, a colon, and Base64 of nonce, text and tag.
-- USES: batch
-- GIVES: is_sealed, plain_bytes

-- Of nonce and tag.
local SEAL_BYTES = 28

local function is_sealed(json) return cut(json, 1, 2) == '"\30' end

-- How many bytes a value has once it is opened, or a text with one sealed value in it.
local function plain_bytes(json)
  local at = find(json, '"\30', 1, true)
  local from = at and find(json, ':', at, true)
  local to = from and find(json, '"', from, true)
  if not to then return #json end
  local _, padding = string.gsub(cut(json, to - 2, to - 1), '=', '')
  return #json - (to - at + 1) + math.floor((to - from - 1) / 4) * 3 - padding - SEAL_BYTES
end
