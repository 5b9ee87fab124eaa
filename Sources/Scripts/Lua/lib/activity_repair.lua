-- How the index by activity comes right by itself, whatever removed or added entries: it has as
-- many as there are sessions, or all of it is looked at.
-- USES: batch, activity, transitions
-- GIVES: enter_again, repair_activity
local ENTRIES_MAX = 1000

-- Puts right the entries of a session that is met anyway, in this index and in that of deadlines.
local function enter_again(s)
  check_activity(s)
  index(s)
end

-- Adds the entries of sessions that have none.
local function add_missing(base, members)
  for _, member in ipairs(members) do
    if not call('ZSCORE', base .. ':activity', member) then
      local at = attempt('HGET', base .. ':session:' .. member, 'active')
      at = type(at) == 'string' and string.match(at, '^%d+$') or '0'
      call('ZADD', base .. ':activity', at, member)
    end
  end
end

-- Looks at a part of the sessions if the numbers differ, from where the last time ended; entries
-- that are too many at the end of all have the index made anew.
local function compare_activity(base)
  local key, listed = base .. ':activity', call('ZCARD', base .. ':sessions')
  local indexed = attempt('ZCARD', key)
  if type(indexed) ~= 'number' then
    call('DEL', key)
    indexed = 0
  end
  if indexed == listed then return end
  local from = call('HGET', base .. ':ledger', 'activity_from')
  local members = call('ZRANGEBYLEX', base .. ':sessions', from and '(' .. from or '-', '+',
    'LIMIT', '0', ENTRIES_MAX)
  add_missing(base, members)
  if #members == ENTRIES_MAX then
    call('HSET', base .. ':ledger', 'activity_from', members[#members])
    return
  end
  call('HDEL', base .. ':ledger', 'activity_from')
  if call('ZCARD', key) > call('ZCARD', base .. ':sessions') then call('DEL', key) end
end

-- Other keys that are of another type are not put right here, and keep nothing from being reaped.
local function repair_activity(base) regardless(compare_activity, base) end
