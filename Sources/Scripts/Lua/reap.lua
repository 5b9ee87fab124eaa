-- Does what is due in a partition, oldest first. It may run twice, or on two workers at once:
-- each record is ended by whoever comes first, and the other finds nothing. An entry that cannot
-- be ended, because somebody has damaged its record, is tried again later and holds up no other.
-- KEYS: the partition's base key
-- ARGV: how many entries to take at most, ms after which a failed entry is tried again
-- RETURNS: ms until the next deadline or -1, entries found due, how late each ending was in ms,
--   what each failure said
local base, late, failures = KEYS[1], {}, {}

local function reap_lock(member, device)
  local record = call('HGET', base .. ':locks', device)
  local ends_at, acquired, token, agent = string.match(record or '', '^(%d+) (%d+) (%d+) (%S+)')
  if not record then
    call('ZREM', base .. ':due', member)
  elseif tonumber(ends_at) > now_ms then
    call('ZADD', base .. ':due', ends_at, member)
  else
    close(base, device, 'abandoned', tonumber(ends_at), acquired, token, agent)
    free(base, device)
    late[#late + 1] = now_ms - ends_at
  end
end

local function reap_session(member, address)
  local device, id = string.match(address, '^(.+)/([^/]+)$')
  local s = load(base, device, id)
  if not s then return sweep_up(base, device, id, member) end
  if keep_until(s) and keep_until(s) <= now_ms then
    call('DEL', s.key)
    return sweep_up(base, device, id, member)
  end
  for _, ms in ipairs(settle(s)) do late[#late + 1] = ms end
  index(s)
end

local due = call('ZRANGEBYSCORE', base .. ':due', '-inf', now_ms, 'LIMIT', 0, ARGV[1])
for _, member in ipairs(due) do
  local reap = string.sub(member, 1, 1) == 'l' and reap_lock or reap_session
  local ok, failure = pcall(reap, member, string.sub(member, 3))
  if not ok then
    failures[#failures + 1] = type(failure) == 'table' and failure.err or tostring(failure)
    call('ZADD', base .. ':due', now_ms + ARGV[2], member)
  end
end
local soonest = call('ZRANGE', base .. ':due', 0, 0, 'WITHSCORES')
local wait = soonest[2] and math.max(0, soonest[2] - now_ms) or -1
return {wait, #due, late, failures}
