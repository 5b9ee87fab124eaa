-- How a partition's deadlines come right by themselves: after Redis' clock has gone back, and after
-- the deadline index was of another type. Their entries are due at once, and `reap` enters each
-- where it belongs.
-- USES: batch, session_index, clocks
-- GIVES: rebuild_index, note_clock, set_back

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

-- Makes an index that is of another type anew: of all sessions, and of the locks of their devices.
local function rebuild_index(base)
  local members, seen, listed = {}, {}, attempt('ZRANGE', base .. ':sessions', 0, -1)
  for _, address in ipairs(listed) do
    local device = string.match(address, '^(.+)/')
    local state = attempt('HGET', base .. ':session:' .. address, 'state')
    local is_known = LIVE[state] or KEPT[state]
    members[#members + 1] = is_known and due_member({state = state, device = device,
      id = cut(address, #device + 2)}) or 'a:' .. address
    if not seen[device] then members[#members + 1] = 'l:' .. device end
    seen[device] = true
  end
  call('DEL', base .. ':due')
  make_due(base, members)
end

-- Notes the time of this reap; where it is before the last one's, all deadlines that are ahead are
-- looked at again.
local function note_clock(base)
  if not is_plausible() then return end
  local noted = attempt('HGET', base .. ':ledger', 'clock')
  local last = type(noted) == 'string' and tonumber(noted) or 0
  if last > now_ms + JUMP_MS then
    make_due(base, call('ZRANGEBYSCORE', base .. ':due', '(' .. now_text, '+inf'))
  elseif now_ms - last < 1000 then
    return
  end
  attempt('HSET', base .. ':ledger', 'clock', now_text)
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
