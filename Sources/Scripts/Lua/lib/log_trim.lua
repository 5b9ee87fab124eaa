-- How entries of a log are dropped: those that all groups have acknowledged by number and age, and
-- where the log has too many bytes the oldest.
-- USES: batch, stream_ids, log_groups, log_marks, log_account, log_shares
-- GIVES: trim_small, trim_large

-- Notes what has been dropped. `gone` is the newest of it, where that is known.
local function note_dropped(base, log, groups, gone)
  local first = call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  first = first and first[1]
  log_marks.note_gone(base, gone or id_before(first))
  log_groups.report_losses(log, groups, first)
end

-- A log that is far from its bound: whole nodes of it go, without a look at their entries.
local function trim_small(base, log, surplus, groups, held, old)
  local newest = old and call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  local dropped = 0
  log_groups.find_unread(log, groups)
  if surplus > 0 and held then
    dropped = call('XTRIM', log, 'MINID', '~', held, 'LIMIT', surplus)
  elseif surplus > 0 then
    dropped = call('XTRIM', log, 'MAXLEN', '~', EVENTS_MAX)
  end
  if old then
    local limit = held and is_before(held, old) and held or old
    dropped = dropped + call('XTRIM', log, 'MINID', limit)
  end
  if dropped == 0 then return end
  local is_empty = newest and call('XLEN', log) == 0
  note_dropped(base, log, groups, is_empty and newest[1])
end

-- Drops entries as `drop_oldest` does, and notes that; `is_all` if groups may lose some for which
-- the log waits.
local function drop(base, log, account, groups, is_all, ...)
  log_groups.find_unread(log, groups, is_all)
  local count, size, is_more, gone = drop_oldest(account, log, ...)
  if gone then note_dropped(base, log, groups, gone) end
  return count, size, is_more
end

-- Drops what a log that is near its bound need not keep, then what it cannot. Returns whether
-- devices with more than their share are to be refused, and how many entries a group has lost.
local function trim_large(base, log, account, is_whole, length, bytes, groups, held, old)
  local newest = call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1][1]
  local need = math.max(0, bytes - EVENT_BYTES_MAX)
  if is_whole then need = need * account.bytes / bytes end
  local is_held = held and not is_before(newest, held)
  local surplus = length - EVENTS_MAX
  local count, size, is_more =
    drop(base, log, account, groups, false, is_held and held or newest, surplus, need, old)
  if is_more and (count < surplus or old) then
    -- Much was acknowledged at once: the account begins anew with what is left.
    call('DEL', account.key)
    trim_small(base, log, surplus - count, groups, held, old)
    return false, 0
  end
  log_account.save(account)
  need = need - size
  if not is_held or need <= 0 or is_more then return false, 0 end
  local is_over = need > EVENT_SHARE_MAX or is_whole and account.heavy == 0
  local lost = is_over and drop(base, log, account, groups, true, newest, 0, need) or 0
  if lost > 0 then log_account.save(account) end
  return account.heavy > 0, lost
end
