-- When each group has asked for events last, in `groups`: a log waits for those that still ask. A
-- worker notes it from time to time, not at each request. A group that is there and not in the log
-- has lost its place: the log was removed, or the group was.
-- USES: batch
-- GIVES: group_asks

local function key_of(base) return base .. ':groups' end

-- Notes that a group is in this partition's log from now on.
local function note_made(base, group) attempt('HSET', key_of(base), group, now_text) end

-- Notes that a group asks now, in those of these partitions whose logs it is in.
local function note_asked(bases, group)
  for _, base in ipairs(bases) do
    if type(attempt('HGET', key_of(base), group)) == 'string' then note_made(base, group) end
  end
end

-- Whether the group was in this partition's log, or that is not known.
local function was_there(base, group) return attempt('HGET', key_of(base), group) and true end

-- When a group has asked last, in ms; a group of which that is not known has asked now.
local function asked_at(base, name)
  local seen = attempt('HGET', key_of(base), name)
  local ms = type(seen) == 'string' and tonumber(seen)
  if not ms then note_made(base, name) end
  return ms or now_ms
end

-- Forgets groups that are not in the log, once they have not asked for so long that no log waits
-- for them.
local function forget_groups(base, groups)
  local key, known = key_of(base), {}
  if attempt('HLEN', key) == #groups then return end
  for _, group in ipairs(groups) do known[group.name] = true end
  local seen = attempt('HGETALL', key)
  for at = 1, seen.err and 0 or #seen, 2 do
    local ms = tonumber(seen[at + 1])
    if not known[seen[at]] and not (ms and now_ms - ms < GROUP_KEEP_MS) then
      call('HDEL', key, seen[at])
    end
  end
end

local group_asks = {made = note_made, note = note_asked, was_there = was_there, at = asked_at,
  forget = forget_groups}
