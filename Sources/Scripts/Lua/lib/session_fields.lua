-- The members of a record that are no fields.
-- USES: batch
-- GIVES: without_fields

-- Their names and values in turn, as HGETALL gives all.
local function without_fields(key)
  local flat, members = {}, attempt('HKEYS', key)
  if members.err then return members end
  for _, name in ipairs(members) do
    if cut(name, 1, 2) ~= 'f:' then
      flat[#flat + 1], flat[#flat + 2] = name, call('HGET', key, name)
    end
  end
  return flat
end
