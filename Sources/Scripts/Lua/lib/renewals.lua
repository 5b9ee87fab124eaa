-- How the requests of a call to renew locks share reads and writes: one command reads all records.
-- In the usual case, a holder who renews a live lock, the record is made anew, and one command
-- writes all such records. Their replies are the records, of which the worker makes the lines: a
-- text costs Lua by its length, so that as few as possible are made. Other cases are served alone.
-- USES: batch
-- GIVES: each_record

-- Deadlines by the terms that they come from; false where there is more to say.
local laters
at_begin(function() laters = {} end)
local function later_by(terms)
  local later = laters[terms]
  if later == nil then
    local ttl = tonumber(terms)
    later = ttl and text(now_ms + ttl) or false
    laters[terms] = later
  end
  return later
end

-- The record after a renewal in the usual case, or nil in any other. From place `at` on the record
-- has to say who asks, and nobody whose name only begins so.
local function renewed(record, at, who, terms)
  local stop = at - 1 + #who
  if not record or cut(record, at, stop) ~= who then return nil end
  if #record > stop and cut(record, stop + 1, stop + 1) ~= ' ' then return nil end
  local later, ends_at = later_by(terms), cut(record, 1, 13)
  -- A deadline that comes nearer changes the index as well.
  if not later or ends_at <= now_text or later < ends_at then return nil end
  return later .. cut(record, 14)
end

-- Serves the requests in their order; `operate` serves those of other cases.
local function each_record(at, operate)
  local records, replies = call('MGET', unpack(KEYS)), {}
  -- Records that have changed since they were read; false for those that are to be read again.
  local newer = {}
  -- What is to be written, as MSET wants it, and how many requests had been served by the last one.
  local words, n, written = {}, 0, 0
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
      newer[key] = fresh
      words[2 * n + 1] = key
      words[2 * n + 2] = fresh
      n = n + 1
      replies[item] = fresh
    else
      if newer[key] then write_waiting(item - 1) end
      local before = find(key, ':held:', 1, true)
      local base, device = cut(key, 1, before - 1), cut(key, before + 6)
      local ttl, token, req = string.match(terms, '^(%d+) (%d*) (.*)$')
      -- What was read as none may be of another kind than a record; `operate` reads it again.
      if newer[key] == false then record = nil end
      replies[item] = answered(base, device, req or '', nil, operate, device, record or nil, who,
        ttl or terms, token or '')
      newer[key] = false
    end
  end
  write_waiting(#KEYS)
  return replies
end
