-- How the requests of a call to renew locks share reads and writes: one command reads all records.
-- In the usual case, a holder who renews a live lock, the record is made anew, and one command
-- writes all such records. Their replies are the records, of which the worker makes the lines: a
-- text costs Lua by its length, so that as few as possible are made. Other cases are served alone.
-- Who asks is an agent, or a token and an agent; the terms are a TTL (`=<ttl>` where none was asked
-- for and this is what a grant gets), and where there is more to say behind it ` <token or nothing>
-- <idempotency key and fingerprint or nothing>`.
-- USES: batch, requests, locks
-- GIVES: each_record

-- Deadlines by the terms that ask for a TTL; true where the record's own is to do, false where
-- there is more to say. And deadlines by what stands behind the agent in a record, which begins
-- with its TTL; false where it does not.
local asked, laters
at_begin(function() asked, laters = {}, {} end)
local function ask(terms)
  local ms = ms_of(terms)
  asked[terms] = ms and text(now_ms + ms) or find(terms, '^=%w+$') ~= nil
end

local function renew_by(rest)
  local ms = ms_of(string.match(rest, '^ (%w+)') or '')
  laters[rest] = ms and text(now_ms + ms) or false
end

-- The record after a renewal in the usual case, or nil in any other. From place `at` on the record
-- has to say who asks, and nobody whose name only begins so.
local function renewed(record, at, who, terms)
  if asked[terms] == nil then ask(terms) end
  local stop, wanted = at + #who, asked[terms]
  if not wanted or not record or cut(record, at, stop - 1) ~= who then return nil end
  local rest = cut(record, stop)
  if laters[rest] == nil then renew_by(rest) end
  local later, ends_at = laters[rest], cut(record, 1, 13)
  local is_other = later and wanted ~= true and wanted ~= later
  if is_other then later = wanted end
  -- A deadline that comes nearer changes the index as well.
  if not later or ends_at <= now_text or later < ends_at then return nil end
  if not is_other then return later .. cut(record, 14) end
  return later .. cut(record, 14, stop) .. terms .. string.match(rest, '^ %w+(.*)$')
end

-- Serves the requests in their order; `operate` serves those of other cases.
local function serve(at, operate)
  local records, replies = call('MGET', unpack(KEYS)), {}
  -- Records that have changed since they were read, false for those that are to be read again. And
  -- what is to be written, as MSET wants it, and how many requests had been served by the last one.
  local newer, words, n, written = {}, {}, 0, 0
  local function write_waiting(served)
    local outcome = n > 0 and redis.pcall('MSET', unpack(words, 1, 2 * n)) or {}
    for item = written + 1, outcome.err and served or 0 do
      -- Those that were served by themselves have a line as their reply.
      if find(replies[item], '^%d') then
        replies[item], newer[KEYS[item]] = 'ERR internal ' .. outcome.err, false
      end
    end
    n, written = 0, served
  end
  for item = 1, #KEYS do
    local key, who, terms = KEYS[item], ARGV[2 * item - 1], ARGV[2 * item]
    local record = newer[key]
    if record == nil then record = records[item] end
    local fresh = renewed(record, at, who, terms)
    if fresh then
      newer[key], replies[item] = fresh, fresh
      words[2 * n + 1], words[2 * n + 2] = key, fresh
      n = n + 1
    else
      if newer[key] then write_waiting(item - 1) end
      local before = find(key, ':held:', 1, true)
      local base, device = cut(key, 1, before - 1), cut(key, before + 6)
      local is_default, ttl, token, req = string.match(terms, '^(=?)(%w+) ?(%d*) ?(.*)$')
      -- What was read as none may be of another kind than a record; `operate` reads it again.
      if newer[key] == false then record = nil end
      replies[item] = answered(base, device, req, nil, operate, device, record or nil, who, ttl,
        is_default == '', token)
      newer[key] = false
    end
  end
  write_waiting(#KEYS)
  return replies
end

-- Gives the function that serves a call.
local function each_record(at, operate) return function() return serve(at, operate) end end
