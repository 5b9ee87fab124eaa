-- How a turn waits for more messages before its caller has its reply: until nothing was joined for
-- a while, or the longest time is over. `settle` in its record is `<quiet at> <latest> <length>
-- <ticket>`, in ms: the moment at which it is quiet if nothing more comes, the latest one, and the
-- while; and the ticket of its caller, or nothing. The turn's deadline is that of its caller's
-- worker, which asks again and so lives.
-- USES: batch, messages, turn_records, queue
-- GIVES: turn_settling

-- Of the length, so many times is the longest.
local LONGEST = 4
-- A worker asks again after so long at most.
local ASK_MS = 4000
-- For so long a turn waits for its worker, and for a retry of a caller that is gone.
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

-- Sets the turn's deadline, and its entry in the index.
local function set_deadline(t, ends_at)
  t.ends_at = ends_at
  call('HSET', turn_key(t.base, t.device), 'ends', text(ends_at))
  regardless(call, 'ZADD', t.base .. ':due', text(ends_at), 't:' .. t.device)
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

-- How many ms a turn still settles at least; 0 if it is quiet or settles no more. One that is quiet
-- after more than its length was set by a clock that has gone back since.
local function left_of(t)
  local quiet_at, length, ticket = string.match(t.settle, '^(%d+) %d+ (%d+) (.*)$')
  if not quiet_at then return 0 end
  if quiet_at - now_ms > length + 1000 and is_plausible() then
    begin_settling(t, tonumber(length), ticket)
    return tonumber(length)
  end
  return math.max(0, quiet_at - now_ms)
end

-- The reply to the worker of a turn that settles: when it is to ask again, and what TURN's reply
-- names. The turn waits until then, and somewhat longer.
local function settling(t, begun)
  local ms = math.min(left_of(t), ASK_MS)
  local ends_at = now_ms + ms + RETRY_MS
  if ends_at > t.ends_at then set_deadline(t, ends_at) end
  return 'SETTLE ' .. text(ms) .. ' ' .. begun
end

-- The caller of a turn that settles is gone, if this is its ticket: only a retry asks for it now.
local function leave_settling(t, ticket)
  local own = string.match(t.settle, '^%d+ %d+ %d+ (.+)$')
  if own == ticket and t.ends_at > now_ms + RETRY_MS then set_deadline(t, now_ms + RETRY_MS) end
end

-- Ends the settling: the TTL begins. Returns what TURN's reply names, of which the newest number,
-- and how many messages are shown, have become more.
local function finish(t, begun)
  t.settle = ''
  call('HDEL', turn_key(t.base, t.device), 'settle')
  set_deadline(t, now_ms + t.ttl_ms)
  local head, last, number, rest = string.match(begun, '^(%w+ %d+) (%d+) (%d+) (.*)$')
  local key = t.base .. ':session:' .. t.device .. '/' .. t.session
  local newest = newest_seq(key .. '/' .. text(t.chat))
  local first = tonumber(string.match(t.said, ' (%d+) %d+\n') or newest + 1)
  last = text(math.max(tonumber(last), newest - first + 1))
  rest = string.gsub(rest, '"seq":%d+', '"seq":' .. text(newest), 1)
  return head .. ' ' .. last .. ' ' .. number .. ' ' .. rest
end

local turn_settling = {length = length_of, begin = begin_settling, put_off = put_off,
  left = left_of, reply = settling, leave = leave_settling, finish = finish, ended = end_settling,
  WAIT_MS = ASK_MS + RETRY_MS}
