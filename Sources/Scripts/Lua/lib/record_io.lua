-- How records are read and written: in a cluster one command may have no keys of two slots.
-- USES: batch
-- GIVES: read_all, write_alone

-- The texts of some keys. In a cluster one that cannot be read counts as none: it is read again.
local function read_all(keys)
  if not IS_CLUSTER then return call('MGET', unpack(keys)) end
  local texts = {}
  for item = 1, #keys do
    local found = attempt('GET', keys[item])
    texts[item] = type(found) == 'string' and found
  end
  return texts
end

-- Writes a text; gives it, or false, and the reply of a request for that. By MSET, although it is
-- one key: SET looks for options behind it, which is 4 % of a renewal.
local function write_alone(key, written)
  local failure = attempt('MSET', key, written).err
  return not failure and written, failure and 'ERR internal ' .. failure or written
end
