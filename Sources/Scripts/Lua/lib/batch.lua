-- The state of a call, which `begin` sets, and how one call serves several requests.
-- USES: nothing
-- GIVES: call, attempt, cut, find, KEYS, ARGV, PAGE_BYTES, now_ms, now_us, now_text, text,
--   at_begin, begin, answered, each

-- As locals: each use of a global is two searches in tables. Taken at the first call, because Redis
-- has no globals to give while it loads a library.
local call, attempt, cut, find
local KEYS, ARGV

-- A page of a list, a history or a log ends when it has grown so large; the worker's lists have the
-- same limit. A call whose replies are far larger answers no further request: they are in memory
-- all at once, here and in a worker, which puts less into a call when it has seen that.
local PAGE_BYTES, REPLIES_BYTES = 4194304, 134217728
local replied

-- Taken once: within a script TIME goes on while expiry stands still.
local now_ms, now_us, now_text

-- A whole number as text. Redis and Lua write one with '%.17g' and '%.14g', several times slower;
-- and a call's requests have most of their times in common.
local texts
local function text(number)
  local written = texts[number]
  if not written then
    written = string.format('%d', number)
    texts[number] = written
  end
  return written
end

-- What else keeps something for the length of a call: functions that forget it.
local resets = {}
local function at_begin(reset) resets[#resets + 1] = reset end

-- Begins a call. A library outlives its calls, and nothing may pass from one to the next.
local function begin(keys, arguments)
  KEYS, ARGV = keys, arguments
  if not call then call, attempt, cut, find = redis.call, redis.pcall, string.sub, string.find end
  local clock = call('TIME')
  now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
  now_us = clock[1] * 1000000 + clock[2]
  texts, replied = {}, 0
  now_text = text(now_ms)
  for n = 1, #resets do resets[n]() end
end

-- Runs a change at most once per request id: a repeated id gets the first one's reply. Not so
-- where nothing was changed and may be another time: ERR, and MORE, a question to the worker. Of a
-- reply that is no line `operate` gives what is kept as its second result, of which `show` makes
-- the reply anew.
local function once(base, device, req, show, operate, ...)
  if req == '' then return operate(base, ...) end
  local key = base .. ':req:' .. device .. '/' .. req
  local kept = call('GET', key)
  local again = kept and show and string.match(kept, '^SHOW (.*)$')
  if again then return show(base, device, again) end
  if kept then return kept end
  local reply, shown, size = operate(base, ...)
  local word = type(reply) == 'string' and string.match(reply, '^%u+')
  local line = word and reply or 'SHOW ' .. shown
  if word ~= 'MORE' and word ~= 'ERR' then call('SET', key, line, 'PX', REQ_KEEP_MS) end
  return reply, shown, size
end

-- The reply of one request, whose id is empty if it has none. One that fails takes no other one
-- with it.
local function answered(base, device, req, show, operate, ...)
  if replied >= REPLIES_BYTES then
    return 'ERR overloaded too much was asked for at once; nothing was done, retry'
  end
  local ok, reply, _, size = pcall(once, base, device, req, show, operate, ...)
  if ok then
    replied = replied + (size or #reply)
    return reply
  end
  return 'ERR internal ' .. (type(reply) == 'table' and reply.err or tostring(reply))
end

-- Runs `operate` for each request. With `changes`, a request's last argument is its id, the first
-- the device; `show` as for `once`.
local function each(stride, operate, changes, show)
  local replies = {}
  for item = 1, #KEYS do
    local first = (item - 1) * stride + 1
    local req = changes and ARGV[first + stride - 1] or ''
    replies[item] = answered(KEYS[item], ARGV[first], req, show, operate, first)
  end
  return replies
end
