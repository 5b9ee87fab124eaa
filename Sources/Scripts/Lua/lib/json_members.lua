-- A member of a JSON object as its text, without reading the rest of it: as numbers and texts of
-- Lua, values would not be what the caller wrote.
-- USES: batch
-- GIVES: member_of

-- The place of the last byte of a JSON string, which begins at `at`.
local function string_end(json, at)
  repeat
    at = find(json, '["\\]', at + 1)
    local is_escape = cut(json, at, at) == '\\'
    if is_escape then at = at + 1 end
  until not is_escape
  return at
end

-- The place of the last byte of a JSON value, which begins at `at`.
local function value_end(json, at)
  local depth = 0
  repeat
    local first = cut(json, at, at)
    if first == '"' then
      at = string_end(json, at)
    elseif first == '{' or first == '[' then
      depth = depth + 1
    elseif first == '}' or first == ']' then
      depth = depth - 1
    else
      return find(json, '[,}%s]', at) - 1
    end
    if depth == 0 then return at end
    at = find(json, '["{}%[%]]', at + 1)
  until not at
end

-- The inside of a JSON string as text; one with half of a surrogate pair stays as it is.
local function plain(inside)
  if not find(inside, '\\', 1, true) then return inside end
  local ok, list = pcall(cjson.decode, '["' .. inside .. '"]')
  return ok and list[1] or inside
end

local function search(json, name)
  local at, found = 1, nil
  while true do
    local from = find(json, '"', at + 1, true)
    if not from then return found end
    local to = string_end(json, from)
    local value = find(json, '[^:%s]', to + 1)
    at = value_end(json, value)
    if plain(cut(json, from + 1, to - 1)) == name then found = cut(json, value, at) end
  end
end

-- The text of a member's value; nil if there is none, or the object is corrupt. Of a string also
-- what it says.
local function member_of(json, name)
  local ok, value = pcall(search, json, name)
  if not ok or not value then return nil end
  return value, find(value, '^"') and plain(cut(value, 2, -2))
end
