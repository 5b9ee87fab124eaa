-- The state of a call, which `begin` sets.
-- USES: nothing
-- GIVES: call, attempt, cut, find, KEYS, ARGV, now_ms, now_us, now_text, PAGE_BYTES, text, fetch,
--   at_begin, begin, regardless

-- As locals: each use of a global is two searches in tables. Taken at the first call, because Redis
-- has no globals to give while it loads a library.
local call, attempt, cut, find, format

-- The call's keys and arguments; its time, which is taken once: within a script TIME goes on while
-- expiry stands still; and the texts of numbers that it has made.
local KEYS, ARGV, now_ms, now_us, now_text, texts

-- A page of a list, a history or a log ends when it has grown so large; the worker's lists have the
-- same limit.
local PAGE_BYTES = 4194304

-- A whole number as text. Redis and Lua write one with '%.17g' and '%.14g', several times slower;
-- and a call's requests have most of their times in common.
local function text(number)
  local written = texts[number] or format('%d', number)
  texts[number] = written
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

-- The functions that forget other state of a call.
local resets = {}
local function at_begin(reset) resets[#resets + 1] = reset end

-- Begins a call. A library outlives its calls, and nothing may pass from one to the next. With
-- `is_timeless` the time is not asked for: that takes as long as a small read.
local function begin(keys, arguments, is_timeless)
  KEYS, ARGV = keys, arguments
  if not call then
    call, attempt, cut, find = redis.call, redis.pcall, string.sub, string.find
    format = string.format
  end
  texts, now_ms, now_us, now_text = {}, nil, nil, nil
  for n = 1, #resets do resets[n]() end
  if is_timeless then return end
  local clock = call('TIME')
  now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
  now_us = clock[1] * 1000000 + clock[2]
  now_text = text(now_ms)
end

-- Does what keeps no operation from its end: an index, a figure or a log whose key is corrupt fails
-- none. A Redis that refuses a write does so at the first one: that is an error.
local function regardless(operate, ...)
  local ok, failure = pcall(operate, ...)
  if ok then return failure end
  local message = type(failure) == 'table' and failure.err or tostring(failure)
  for _, word in ipairs({'OOM', 'READONLY', 'MISCONF', 'NOREPLICAS', 'NOPERM'}) do
    if find(message, word, 1, true) then error(failure, 0) end
  end
end
