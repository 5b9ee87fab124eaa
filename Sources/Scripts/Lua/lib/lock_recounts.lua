-- How a lock ends whose record is corrupt: whose it was is not known, so the locks of its partition
-- are counted anew.
-- USES: batch, ledger, event_log, lock_records, lock_closings
-- GIVES: close_corrupt

-- The most entries of a partition's deadline index that are gone through to count its locks: that
-- takes some 5 ms.
local RECOUNTED_MAX = 4000

-- Counts the locks of a partition by their agents and principals from its deadline index, which has
-- one entry for each; a grant that has not begun, and a record that is corrupt, count for no agent.
-- Returns the counts, and the sum of the times at which the locks were acquired; or nil if they are
-- too many.
local function held_by_agent(base)
  local size = attempt('ZCARD', base .. ':due')
  if type(size) == 'table' or size > RECOUNTED_MAX then return nil end
  local counts, sum = {}, 0
  for _, member in ipairs(call('ZRANGE', base .. ':due', '0', '-1')) do
    local record = cut(member, 1, 2) == 'l:' and fetch_record(base, cut(member, 3))
    local _, _, agent, acquired, _, mark = read_record(record or '')
    if agent and mark ~= '*' then
      counts['held:' .. agent] = (counts['held:' .. agent] or 0) + 1
      local owner = owner_of(record)
      if owner then counts['locks:' .. owner] = (counts['locks:' .. owner] or 0) + 1 end
      sum = sum + since_start(acquired)
    end
  end
  return counts, sum
end

-- One of a partition's locks has ended, and nothing says whose it was: the counts of its agents are
-- made anew, and the ending is counted, so that the figures add up.
local function recount_held(base, ending)
  local ledger, counts, sum = base .. ':ledger', held_by_agent(base)
  local names = counts and attempt('HKEYS', ledger)
  if not names or names.err then return end
  for _, name in ipairs(names) do
    local is_count = cut(name, 1, 5) == 'held:' or cut(name, 1, 6) == 'locks:'
    if is_count and not counts[name] then call('HDEL', ledger, name) end
  end
  for name, held in pairs(counts) do call('HSET', ledger, name, text(held)) end
  call('HSET', ledger, 'held_at', string.format('%.0f', sum))
  count(base, ending, 1)
end

-- Ends a lock whose record is corrupt: nothing of it is known.
local function close_corrupt(base, device, ending, more)
  publish(base, 'lock.' .. ending, device,
    string.format('"at":%.0f,"agent":null,"token":null,"held_ms":null', now_ms) .. (more or ''))
  free(base, device)
  recount_held(base, ending)
end
