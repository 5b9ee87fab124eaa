-- When each group has asked for events last, in `groups`: a log waits for those that still ask. A
-- worker notes it from time to time, not at each request.
-- USES: batch
-- GIVES: group_asks

-- Notes in these partitions that a group asks now.
local function note_asked(bases, group)
  for _, base in ipairs(bases) do attempt('HSET', base .. ':groups', group, now_text) end
end

-- When a group has asked last, in ms; a group of which that is not known has asked now.
local function asked_at(base, name)
  local key = base .. ':groups'
  local seen = attempt('HGET', key, name)
  local ms = type(seen) == 'string' and tonumber(seen)
  if not ms then attempt('HSET', key, name, now_text) end
  return ms or now_ms
end

-- Forgets when groups have asked that are not there any more.
local function forget_groups(base, groups)
  local key, known = base .. ':groups', {}
  if attempt('HLEN', key) == #groups then return end
  for _, group in ipairs(groups) do known[group.name] = true end
  local names = attempt('HKEYS', key)
  for _, name in ipairs(names.err and {} or names) do
    if not known[name] then call('HDEL', key, name) end
  end
end

local group_asks = {note = note_asked, at = asked_at, forget = forget_groups}
