-- How a turn waits for more messages before its caller has its reply: until nothing was joined for
-- a while, or the longest time is over. `settle` in its record is `<quiet at> <latest> <length>
-- <ticket>`, in ms: the moment at which it is quiet if nothing more comes, the latest one, and the
-- while; and the ticket of its caller, or nothing.
-- USES: batch, messages, turn_records, queue
-- GIVES: turn_settling

-- Of the length, so many times is the longest.
local LONGEST = 4
-- For so long a retry may ask for the reply that its caller did not fetch.
local RETRY_MS = 5000

-- How long a turn that settles may run at most before its reply.
local function length_of(settle_ms) return LONGEST * settle_ms + RETRY_MS end

local function write(t, quiet_at, rest)
  t.settle = text(quiet_at) .. ' ' .. rest
  call('HSET', turn_key(t.base, t.device), 'settle', t.settle)
end

local function begin_settling(t, settle_ms, ticket)
  write(t, now_ms + settle_ms,
    text(now_ms + LONGEST * settle_ms) .. ' ' .. text(settle_ms) .. ' ' .. ticket)
end

-- Something was joined: the while begins again.
local function put_off(t)
  local rest, latest, length = string.match(t.settle, '^%d+ ((%d+) (%d+) .*)$')
  if rest then write(t, math.min(now_ms + length, tonumber(latest)), rest) end
end

-- A turn ends while it settles: informs the worker that has its caller.
local function end_settling(t)
  local ticket = string.match(t.settle, '^%d+ %d+ %d+ (.+)$')
  if ticket then queue.inform(t.base, 't', t.device, ticket, 'ended') end
end

-- How many ms a turn still settles at least; 0 if it is quiet or settles no more.
local function left_of(t)
  local quiet_at = tonumber(string.match(t.settle, '^%d+') or 0)
  return math.max(0, quiet_at - now_ms)
end

-- The reply to the worker of a turn that settles, with what TURN's reply names.
local function settling(t, begun)
  return 'SETTLE ' .. text(left_of(t)) .. ' ' .. begun
end

-- Ends the settling: the TTL begins. Returns what TURN's reply names, of which the newest number,
-- and how many messages are shown, have become more.
local function finish(t, begun)
  t.settle, t.ends_at = '', now_ms + t.ttl_ms
  call('HDEL', turn_key(t.base, t.device), 'settle')
  call('HSET', turn_key(t.base, t.device), 'ends', text(t.ends_at))
  regardless(call, 'ZADD', t.base .. ':due', text(t.ends_at), 't:' .. t.device)
  local head, last, number, rest = string.match(begun, '^(%w+ %d+) (%d+) (%d+) (.*)$')
  local key = t.base .. ':session:' .. t.device .. '/' .. t.session
  local newest = newest_seq(key .. '/' .. text(t.chat))
  local first = tonumber(string.match(t.said, ' (%d+) %d+\n') or newest + 1)
  last = text(math.max(tonumber(last), newest - first + 1))
  rest = string.gsub(rest, '"seq":%d+', '"seq":' .. text(newest), 1)
  return head .. ' ' .. last .. ' ' .. number .. ' ' .. rest
end

local turn_settling = {length = length_of, begin = begin_settling, put_off = put_off,
  left = left_of, reply = settling, finish = finish, ended = end_settling}
