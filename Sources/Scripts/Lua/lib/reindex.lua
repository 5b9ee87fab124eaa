-- How a partition's deadlines come right by themselves: after Redis' clock has gone back, and after
-- the deadline index was of another type. Their entries are due at once, and `reap` enters each
-- where it belongs.
-- USES: batch, session_index, clocks
-- GIVES: note_clock, due_members, set_back

-- A clock that goes back by less delays deadlines by as little.
local JUMP_MS = 60000

local function make_due(base, members)
  for first = 1, #members, 1000 do
    local words = {}
    for n = first, math.min(first + 999, #members) do
      words[#words + 1], words[#words + 2] = now_text, members[n]
    end
    call('ZADD', base .. ':due', unpack(words))
  end
end

-- Makes an index that is of another type anew: of all sessions and their documents, and of the
-- locks and turns of their devices.
local function rebuild_index(base)
  local members, seen, listed = {}, {}, attempt('ZRANGE', base .. ':sessions', 0, -1)
  for _, address in ipairs(listed) do
    local device = string.match(address, '^(.+)/')
    local state = attempt('HGET', base .. ':session:' .. address, 'state')
    local is_known = LIVE[state] or KEPT[state]
    members[#members + 1] = is_known and due_member({state = state, device = device,
      id = cut(address, #device + 2)}) or 'a:' .. address
    if not seen[device] then
      members[#members + 1], members[#members + 2] = 'l:' .. device, 't:' .. device
    end
    members[#members + 1] = 'd:' .. address
    seen[device] = true
  end
  call('DEL', base .. ':due')
  make_due(base, members)
end

-- Notes the time of this reap; where it is before the last one's, all deadlines that are ahead are
-- looked at again: returns the time, else nil.
local function note_clock(base)
  if not is_plausible() then return nil end
  local noted = attempt('HGET', base .. ':ledger', 'clock')
  local last = type(noted) == 'string' and tonumber(noted) or 0
  if last > now_ms + JUMP_MS then
    make_due(base, call('ZRANGEBYSCORE', base .. ':due', '(' .. now_text, '+inf'))
    last = nil
  elseif now_ms - last < 1000 then
    return nil
  end
  attempt('HSET', base .. ':ledger', 'clock', now_text)
  return not last and now_ms or nil
end

-- The members of the index that are due, and what was wrong with it, or nil.
local function due_members(base, limit)
  local range = {'ZRANGEBYSCORE', base .. ':due', '-inf', now_text, 'LIMIT', 0, limit}
  local due = attempt(unpack(range))
  if not due.err then return due end
  if not find(due.err, 'WRONGTYPE', 1, true) then error(due, 0) end
  rebuild_index(base)
  return call(unpack(range)), base .. ':due was of another type, and was made anew'
end

-- Sets times of a session to now that are ahead, because the clock has gone back since.
local function set_back(s)
  local writes = {}
  for _, name in ipairs({'created', 'active', 'born', 'since'}) do
    if s[name] > now_ms + JUMP_MS then
      s[name] = now_ms
      writes[#writes + 1], writes[#writes + 2] = name, now_text
    end
  end
  if #writes == 0 or not is_plausible() then return end
  call('HSET', s.key, unpack(writes))
  set_ttl(s, gone_by(s))
end
