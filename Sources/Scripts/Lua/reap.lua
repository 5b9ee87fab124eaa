-- Ends what is due in a partition, oldest first. It may run twice, or on two workers at once: the
-- first one ends a record, and the other finds nothing. An entry that cannot be ended, because its
-- record is corrupt, is tried again later and holds up no other.
-- USES: batch, activity_repair, lock_records, lock_deadlines, lock_ends, session_index,
--   session_load, links, clocks, transitions, cleanup, reindex, turn_ends, documents
-- KEYS: the partition's base key
-- ARGV: limit, retry_ms
-- RETURNS: ms until the next deadline or -1, entries found due, how late each ending was in ms, the
--   text of each failure, the outbox entries for other partitions

local base, late, failures, outbox

-- After so long, the outbox entry of a worker that has not finished it is due again.
local OUTBOX_MS = 5000

local function reap_lock(member, device)
  local record = fetch_record(base, device)
  if not record then return call('ZREM', base .. ':due', member) end
  local ends_at, _, _, _, ttl, mark = read_record(record)
  -- When it ends is not known: CLEAR or SEIZE decides.
  if not ends_at then corrupt_lock(base, device) end
  if is_ahead(ends_at, ttl) then
    extend(base, device, record)
  elseif ends_at > now_text then
    watch_lock(base, device, ends_at)
  else
    expire_lock(base, device, record)
    if mark ~= '*' then late[#late + 1] = now_ms - ends_at end
  end
end

local function reap_session(member, address)
  local device, id = string.match(address, '^(.+)/([^/]+)$')
  local s = load(base, device, id)
  if not s then
    remove_lost(base, device, id, string.match(LETTERS, '(%l+)=' .. cut(member, 1, 1)))
    return regardless(recount, base, device)
  end
  -- An entry of another state than the record's: one of them was changed by other means.
  if member ~= due_member(s) then call('ZREM', base .. ':due', member) end
  set_back(s)
  for _, ms in ipairs(settle(s)) do late[#late + 1] = ms end
  if not s.is_gone then return enter_again(s) end
  call('UNLINK', unpack(keys_of(s)))
  enqueue_links(s, s.links)
  remove_entries(base, device, id, s.state)
end

-- The worker delivers an outbox entry to the other partition: until it has, or if it dies, the
-- entry stays, at a time that no other entry has because it is no whole number.
local function deliver(member, rest)
  local again = string.format('%.1f', now_ms + OUTBOX_MS + 0.5)
  call('ZADD', base .. ':due', again, member)
  local word = member .. ' ' .. again
  if string.sub(member, 1, 1) == 'k' then
    local device, id, kind, ref = string.match(rest, '^(.+)/(.+) (.+)/(.+)$')
    word = word .. ' ' .. status_of(base, device, id, kind, ref) .. string.format(' %.0f', now_us)
  end
  outbox[#outbox + 1] = word
end

local REAP = {l = reap_lock, k = deliver, r = deliver, d = reap_documents,
  t = function(member, device) late[#late + 1] = reap_turn(base, member, device) end}

return function(keys, limit, retry_ms)
  base, late, outbox = keys[1], {}, {}
  local due, failure = due_members(base, limit)
  failures = {failure}
  for _, member in ipairs(due) do
    local operate = REAP[string.sub(member, 1, 1)] or reap_session
    local ok, failure = pcall(operate, member, string.sub(member, 3), base)
    if not ok then
      failures[#failures + 1] = type(failure) == 'table' and failure.err or tostring(failure)
      call('ZADD', base .. ':due', now_ms + retry_ms, member)
    end
  end
  repair_activity(base)
  local soonest = call('ZRANGE', base .. ':due', 0, 0, 'WITHSCORES')
  local wait = soonest[2] and math.max(0, (note_clock(base) or soonest[2]) - now_ms) or -1
  return {wait, #due, late, failures, outbox}
end
