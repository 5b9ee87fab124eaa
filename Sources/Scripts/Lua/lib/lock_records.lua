-- The record of a lock: `<deadline> <token> <agent> <ttl>`, and where more has to be kept
-- `<deadline> <token> <agent> <ttl> <acquired_at>[ <mark>]`. The TTL is the one last asked for,
-- which a renewal without ttl= starts again: `30s`, `1d`, in ms without a unit. Without
-- acquired_at the lock was acquired at the token's millisecond, which is so unless the clock went
-- back or two grants shared one. The mark `+` says that there is more, in keys of its own: a note,
-- and an agent to whom the lock goes back. A record is read by every request for the lock, and a
-- note may be long. With `*` in its place it is no lock yet but a grant to a caller that waits,
-- see lock_grants.lua. Until the year 2286 times have 13 digits and tokens 16, so that a record
-- can be cut by place and times compare as texts. A lock counts as its principal's whose mark
-- stands behind the TTL, `30s/Kx81aQ`. Scripts get a TTL so; where the principal holds as many as
-- it may, with `/<held>/<most>` behind it.
-- USES: batch
-- GIVES: record_key, fetch_record, corrupt_lock, is_tail, owner_of, without_quota, lock_quota,
--   read_record, make_record, keep_more, fetch_more, drop_record

local function record_key(base, device) return base .. ':held:' .. device end
local function note_key(base, device) return base .. ':note:' .. device end
local function back_key(base, device) return base .. ':return:' .. device end

local function fetch_record(base, device) return fetch(record_key(base, device)) end

-- Ends a request because a lock's record is corrupt: CLEAR and SEIZE repair it.
local function corrupt_lock(base, device)
  error({err = 'BADLOCK ' .. record_key(base, device) .. ' is corrupt; CLEAR or SEIZE repairs it'},
    0)
end

-- Whether the end of a lock's record, behind its TTL, is what it may be.
local function is_tail(tail)
  if tail ~= '' and cut(tail, 1, 1) == '/' then tail = string.match(tail, '^/%w+(.*)$') or tail end
  return tail == '' or #tail == 14 and find(tail, '^ [1-9]%d+$')
    or #tail == 16 and find(tail, '^ [1-9]%d+ %+$')
end

-- The same of a grant's.
local function is_grant_tail(tail) return #tail == 16 and find(tail, '^ [1-9]%d+ %*$') end

-- The mark of the principal whose lock it is, from the TTL or the record; nil without one.
local function owner_of(text) return find(text, '/', 1, true) and string.match(text, '/(%w+)') end

-- A TTL as records have it.
local function without_quota(ttl) return string.match(ttl, '^%w+/?%w*') end

-- The refusal of a further lock of a principal that holds as many as it may; or nil. Behind the
-- code stands the limit's name, for the worker.
local function lock_quota(ttl)
  local held, most = string.match(ttl, '/(%d+)/(%d+)$')
  return held and 'ERR quota/locks quota exceeded: ' .. held .. ' of ' .. most
    .. ' locks of this principal' or nil
end

-- The parts of a record: deadline, token, agent, acquired_at, TTL and mark as texts, the last empty
-- or nil without one; nil if the record is corrupt. A token is below 2^53.
local FORM = "^[1-9]%d+() [1-9]%d+() [%w._:@+%-%%~!*'()]+ %d+[smhd]?()"
local function read_record(record)
  local ends_at_end, token_end, tail = string.match(record, FORM)
  if ends_at_end ~= 14 or token_end ~= 31 or cut(record, 15, 30) > '9007199254740991'
    or not (is_tail(cut(record, tail)) or is_grant_tail(cut(record, tail))) then
    return nil
  end
  -- Cut out by place: string.match took 1 us more.
  local ends_at, token = cut(record, 1, 13), cut(record, 15, 30)
  local space = find(record, ' ', 32, true)
  local agent, stop = cut(record, 32, space - 1), find(record, ' ', space + 1, true)
  if not stop then return ends_at, token, agent, cut(token, 1, 13), cut(record, space + 1) end
  return ends_at, token, agent, cut(record, stop + 1, stop + 13), cut(record, space + 1, stop - 1),
    cut(record, stop + 15)
end

local function make_record(ends_at, token, agent, acquired, ttl, mark)
  local record = ends_at .. ' ' .. token .. ' ' .. agent .. ' ' .. ttl
  if mark and mark ~= '' then return record .. ' ' .. acquired .. ' ' .. mark end
  return cut(token, 1, 13) == acquired and record or record .. ' ' .. acquired
end

-- Keeps what a lock has besides its record: a note, and an agent to whom it goes back with a TTL.
-- What the record `before` it had is removed. Returns the mark of the record, or nil.
local function keep_more(base, device, before, note, back)
  if before and cut(before, -2) == ' +' then
    call('DEL', note_key(base, device), back_key(base, device))
  end
  local has_note, goes_back = note and note ~= '', back and back ~= ''
  if has_note then call('SET', note_key(base, device), note) end
  if goes_back then call('SET', back_key(base, device), back) end
  return (has_note or goes_back) and '+' or nil
end

-- What a lock has besides its record: the note, or nil; and the agent to whom it goes back with the
-- TTL that it has then, or nil. A note that is missing although there has to be one is empty.
local function fetch_more(base, device, record)
  if cut(record, -2) ~= ' +' then return nil end
  local note, back = fetch(note_key(base, device)), fetch(back_key(base, device))
  local agent, ttl = string.match(back or '', "^([%w._:@+%-%%~!*'()]+) (%d+[smhd]?[/%w]*)$")
  return note or not back and '' or nil, agent, ttl
end

-- Removes a lock's record, and what it has besides.
local function drop_record(base, device)
  call('DEL', record_key(base, device), note_key(base, device), back_key(base, device),
    base .. ':lock:' .. device)
end
