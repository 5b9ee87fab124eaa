-- How a log is kept within its limits. It waits for its groups: what one has not acknowledged stays
-- until the log has EVENT_BYTES_MAX bytes. Then devices with more than their share are refused, for
-- which the ledger has `log_full`, and if there is none the oldest entries go.
-- USES: batch, group_asks, log_groups, log_marks, log_account, log_shares, log_trim
-- GIVES: attend_log

-- What a pending entry takes, and for how much at most MEMORY USAGE takes it. Up to EVENT_SHARE_MAX
-- they do not count: a group that reads a log at its bound would lose what it has just been given.
local PENDING_BYTES, PENDING_BYTES_MAX = 160, 1100

-- The memory of a log; as much as it may have, where Redis does not say.
local function memory_of(log)
  local bytes = attempt('MEMORY', 'USAGE', log, 'SAMPLES', '0')
  return type(bytes) == 'number' and bytes or bytes and EVENT_BYTES_MAX or 0
end

-- Keeps a partition's log within its limits; `old` is the id before which entries are too old.
-- Returns its bytes, whether devices are refused, the id that it waits for, or nil, and its groups;
-- nothing if the log is corrupt.
local function attend_log(base, old)
  local log, ledger = base .. ':events', base .. ':ledger'
  local length = attempt('XLEN', log)
  if type(length) ~= 'number' then return nil end
  local groups, held, pending = log_groups.of(base, log)
  if old then group_asks.forget(base, groups) end
  log_marks.repair(base)
  log_marks.notify_groups(base, groups)
  local bytes, is_full, lost = memory_of(log), false, 0
  if length == 0 or bytes * 2 <= EVENT_BYTES_MAX then
    call('DEL', base .. ':shares')
    trim_small(base, log, length - EVENTS_MAX, groups, held, old)
  else
    local account = log_account.load(base)
    local is_whole = count_entries(account, log)
    if is_whole and account.n ~= length then
      -- Entries were added or dropped by other means.
      call('DEL', account.key)
      account = log_account.load(base)
      is_whole = count_entries(account, log)
    end
    if is_whole and pending == 0 and account.bytes > 0 then
      account.scale = math.floor(bytes * 1000 / account.bytes)
    end
    bytes = is_whole and pending > 0
      and math.min(bytes, account.bytes * account.scale / 1000
        + math.max(0, pending * PENDING_BYTES - EVENT_SHARE_MAX))
      or math.max(0, bytes - pending * PENDING_BYTES_MAX)
    is_full, lost =
      trim_large(base, log, account, is_whole, length, bytes, groups, held, old)
  end
  if lost > 0 then attempt('HINCRBY', ledger, 'log_lost', lost) end
  if is_full then
    attempt('HSET', ledger, 'log_full', now_text)
    if not attempt('HGET', ledger, 'log_full_from') then
      attempt('HSET', ledger, 'log_full_from', now_text)
    end
  else
    attempt('HDEL', ledger, 'log_full', 'log_full_from')
  end
  return bytes, is_full, held, groups
end
