-- The state of a call, which `begin` sets.
-- USES: nothing
-- GIVES: call, attempt, cut, find, KEYS, ARGV, now_ms, now_us, now_text, PAGE_BYTES, text, fetch,
--   call_number, traced, unpermitted, is_plausible, begin, regardless

-- As locals: each use of a global is two searches in tables. Taken at the first call, because Redis
-- has no globals to give while it loads a library.
local call, attempt, cut, find, format

-- The call's keys and arguments; its time, which is taken once: within a script TIME goes on while
-- expiry stands still.
local KEYS, ARGV, now_ms, now_us, now_text

-- A page of a list, a history or a log ends when it has grown so large.
local PAGE_BYTES = 1048576

-- A whole number as text. As a command's argument and as part of a text it would be written with
-- '%.17g' and '%.14g', several times slower; and a call's requests have most of their times in
-- common. The results are kept from call to call, but not without bound.
local texts, texts_kept, TEXTS_MAX = {}, 0, 256
local function text(number)
  local written = texts[number]
  if written then return written end
  written = format('%d', number)
  if texts_kept == TEXTS_MAX then texts, texts_kept = {}, 0 end
  texts[number], texts_kept = written, texts_kept + 1
  return written
end

-- A text by its key: false if there is none, and empty, as no text of ours is, if the key is of
-- another type.
local function fetch(key)
  local found = attempt('GET', key)
  if type(found) ~= 'table' then return found end
  if find(found.err, 'WRONGTYPE', 1, true) then return '' end
  error(found, 0)
end

-- The number of this call among all: other state of a call counts as long as it is the same.
local call_number = 0

-- What gives the first command that the call's script has and its user may not use; nil where the
-- script only reads. And of each script, when that was asked last.
local missing_right
local checked_ms = {}

-- Of the request that is served now, as `by`: the parent of its trace, which its events show.
local traced = {}

-- The reason why this call can serve nothing, or nil: it says so before anything is written. Redis
-- refuses a command only when it comes to it. In a library each command is asked about once in a
-- ms, whatever scripts have it, which takes 8 us at most; by EVALSHA nothing is kept between calls.
local function unpermitted()
  if not missing_right or checked_ms[missing_right] == now_ms then return nil end
  local command = missing_right(KEYS[1])
  if command then return 'NOPERM no right to ' .. command .. ', so nothing was done' end
  checked_ms[missing_right] = now_ms
end

-- Whether the clock may be right: it is after the year 2023. What is kept is not corrected by a
-- clock that is not, such as one that begins in 1970.
local function is_plausible() return now_ms >= 1700000000000 end

-- Begins a call. A library outlives its calls, and nothing may pass from one to the next. With
-- `is_timeless` the time is not asked for: that takes as long as a small read.
local function begin(keys, arguments, is_timeless, missing)
  KEYS, ARGV, missing_right = keys, arguments, missing
  if not call then
    call, attempt, cut, find = redis.call, redis.pcall, string.sub, string.find
    format = string.format
  end
  now_ms, now_us, now_text = nil, nil, nil
  call_number = call_number + 1
  if is_timeless then return end
  local clock = call('TIME')
  local seconds, us = tonumber(clock[1]), tonumber(clock[2])
  -- Before September 2001 a time would have fewer digits than records have for it.
  if seconds < 1000000000 then seconds = 1000000000 + seconds % 10000000 end
  now_ms, now_us = seconds * 1000 + (us - us % 1000) / 1000, seconds * 1000000 + us
  now_text = text(now_ms)
end

-- Does what keeps no operation from its end: an index, a figure or a log whose key is corrupt fails
-- none. A Redis that refuses a write does so at the first one: that is an error.
local function regardless(operate, ...)
  local ok, failure = pcall(operate, ...)
  if ok then return failure end
  local message = type(failure) == 'table' and failure.err or tostring(failure)
  for _, words in ipairs({'OOM', 'READONLY', 'MISCONF', 'NOREPLICAS', 'NOPERM', 'script can\'t'}) do
    if find(message, words, 1, true) then error(failure, 0) end
  end
end
