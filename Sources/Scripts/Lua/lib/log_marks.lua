-- What has gone from a log, for its readers. The partition's ledger has `log_gone`: the newest
-- entry that was dropped, or an id of the time at which an event could not be written because the
-- key was corrupt; and `log_missed` while groups are to be notified of the latter. A mark that
-- cannot be read is no sign that nothing has gone.
-- USES: batch, stream_ids
-- GIVES: log_marks

-- An id before all that is written from now on. No entry has it.
local NO_ENTRY = '-9007199254740991'
local function from_now() return text(now_ms - 1) .. NO_ENTRY end

-- The newest id that has gone: nil if none has, false if that is not known.
local function gone(base)
  local seen = attempt('HGET', base .. ':ledger', 'log_gone')
  if not seen then return nil end
  return type(seen) == 'string' and find(seen, '^%d+-%d+$') and seen or false
end

-- Whether entries after this id may have gone. One that is neither in the log nor the newest that
-- has gone was removed by other means, as when the whole log was.
local function is_behind(base, id)
  local newest = gone(base)
  if newest == false then return true end
  if newest and newest ~= id and is_before(id, newest) then return true end
  if newest == id or id == '0-0' or find(id, NO_ENTRY, 1, true) then return false end
  return #call('XRANGE', base .. ':events', id, id) == 0
end

-- Notes that all up to this id has gone. The mark only grows; one that is corrupt begins anew.
local function note_gone(base, id)
  local newest = gone(base)
  if newest and not is_before(newest, id) then return end
  if newest == false and is_before(id, from_now()) then id = from_now() end
  attempt('HSET', base .. ':ledger', 'log_gone', id)
end

-- Replaces a mark that is corrupt.
local function repair(base)
  if gone(base) == false then note_gone(base, from_now()) end
end

-- Notes that an event could not be written.
local function note_missed(base)
  note_gone(base, from_now())
  attempt('HSET', base .. ':ledger', 'log_missed', now_text)
end

-- Once the log is sound again, each group in it is notified of what could not be written: it gets
-- the consumer `lost`.
local function notify_groups(base, groups)
  local ledger = base .. ':ledger'
  if type(attempt('HGET', ledger, 'log_missed')) ~= 'string' then return end
  for _, group in ipairs(groups) do
    call('XGROUP', 'CREATECONSUMER', base .. ':events', group.name, 'lost')
  end
  attempt('HDEL', ledger, 'log_missed')
end

local log_marks = {from_now = from_now, gone = gone, is_behind = is_behind, note_gone = note_gone,
  repair = repair, note_missed = note_missed, notify_groups = notify_groups}
