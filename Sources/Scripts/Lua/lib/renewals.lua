-- How the requests of a call to renew locks share reads and writes: one command reads all records.
-- In the usual case, a holder that renews a live lock, the record is made anew, and one command
-- writes all such records. Their replies are the records, of which the worker makes the lines: a
-- text costs Lua by its length, so that as few as possible are made. Other cases are served alone.
-- The asking holder is an agent, or a token and an agent; the lease is a TTL (`=<ttl>` where none
-- was asked for and this is what a grant gets), and where more is asked behind it ` <token or
-- nothing> <idempotency key and fingerprint or nothing>`.
-- USES: batch, requests, slots, record_io, lock_records, lock_deadlines
-- RARELY: answered, elsewhere, write_alone
-- GIVES: each_record

-- Deadlines by the lease that is asked for; true where the record's own TTL counts, false where
-- more is asked than a TTL, behind which may stand a principal's mark. And deadlines by the rest of
-- a record behind the agent, which begins with a space and its TTL; false where it does not.
local asked, own
local function learn(list, lease, start)
  local digits, unit, more = string.match(lease, start .. '(%d+)([smhd]?)(.*)$')
  local ms = ttl_in(digits, unit)
  local deadline = ms and is_tail(more) and text(now_ms + ms)
  list[lease] = deadline or list == asked and find(lease, '^=[%w/]+$') ~= nil
  return list[lease]
end

-- The record after a renewal in the usual case, or nil in any other. From place `at` on the record
-- must have the asking holder, and not only a name that begins so.
local function renewed(record, at, who, lease)
  local stop, wanted = at + #who, asked[lease]
  if wanted == nil then wanted = learn(asked, lease, '^') end
  if not wanted or not record or cut(record, at, stop - 1) ~= who then return nil end
  local rest = cut(record, stop)
  local deadline, ends_at = own[rest], cut(record, 1, 13)
  if deadline == nil then deadline = learn(own, rest, '^ ') end
  local is_other = deadline and wanted ~= true and wanted ~= deadline
  if is_other then deadline = wanted end
  -- A deadline that comes nearer changes the index as well.
  if not deadline or ends_at <= now_text or deadline < ends_at then return nil end
  if not is_other then return deadline .. cut(record, 14) end
  return deadline .. cut(record, 14, stop) .. string.match(lease, '^%w+')
    .. string.match(rest, '^ %w+(.*)$')
end

-- Serves the requests in their order; `operate` serves those of other cases.
local function serve(at, operate)
  asked, own = {}, {}
  local records, replies = read_all(KEYS), {}
  -- Records that have changed since they were read, false for those that are to be read again. And
  -- the words to be written, as MSET takes them, and how many requests had been served by the last
  -- one.
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
    local key, who, lease = KEYS[item], ARGV[2 * item - 1], ARGV[2 * item]
    local record = newer[key]
    if record == nil then record = records[item] end
    local fresh = renewed(record, at, who, lease)
    if fresh and IS_CLUSTER then
      newer[key], replies[item] = write_alone(key, fresh)
    elseif fresh then
      newer[key], replies[item] = fresh, fresh
      words[2 * n + 1], words[2 * n + 2], n = key, fresh, n + 1
    else
      if newer[key] then write_waiting(item - 1) end
      local before = find(key, ':held:', 1, true)
      local base, device = cut(key, 1, before - 1), cut(key, before + 6)
      local is_default, ttl, token, req = string.match(lease, '^(=?)([%w/]+) ?(%d*) ?(.*)$')
      -- A key that was read as none may be of another type than a record; `operate` reads it again.
      if newer[key] == false then record = nil end
      replies[item] = IS_CLUSTER and elsewhere(base) or answered(base, device, req, nil, operate,
        device, record or nil, who, ttl, is_default == '', token)
      newer[key] = false
    end
  end
  write_waiting(#KEYS)
  return replies
end

-- Gives the function that serves a call.
local function each_record(at, operate) return function() return serve(at, operate) end end
