-- The callers that wait for a device's turn or lock: a sorted set each, `turns:<device>` and
-- `locks:<device>`, of tickets in the order in which they came. A ticket is `<worker>
-- <loop>.<number> <request>`, and for a lock more; the request is its caller's idempotency key,
-- `<id>/<fingerprint>`, or `-`. The kind of a queue is a letter: `t` of turns, `l` of locks.
-- USES: batch, ledger, queue_scores
-- GIVES: queue_key, queue

-- Queues by their kinds: the prefixes of their keys, and the counters of their tickets.
local PREFIX = {t = ':turns:', l = ':locks:'}
local COUNTER = {t = 'turns_waiting'}

local function queue_key(base, kind, device) return base .. PREFIX[kind] .. device end

local function count_waiting(base, kind, n)
  if COUNTER[kind] then count(base, COUNTER[kind], n) end
end

-- How many wait; a key of another type has none.
local function length(base, kind, device)
  local n = attempt('ZCARD', queue_key(base, kind, device))
  return type(n) == 'number' and n or 0
end

-- Informs a ticket's worker: `<word> <kind> <device> <loop>.<number> <id>`.
local function inform(base, kind, device, ticket, word)
  local worker, rest = string.match(ticket, '^(%S+) (%S+ .+)$')
  local namespace = string.match(base, '^(.*):{%x+}$')
  if not worker then return end
  attempt('PUBLISH', namespace .. ':to:' .. worker,
    word .. ' ' .. kind .. ' ' .. device .. ' ' .. rest)
end

-- The first tickets, at most so many.
local function first_of(base, kind, device, most)
  return attempt('ZRANGE', queue_key(base, kind, device), '0', text(most - 1))
end

-- The first ticket and its score, or nil; from the end, the last one.
local function head(base, kind, device, from_end)
  local at = from_end and '-1' or '0'
  local one = attempt('ZRANGE', queue_key(base, kind, device), at, at, 'WITHSCORES')
  return one[1], one[2]
end

-- Takes a ticket out. Returns whether it was in.
local function take(base, kind, device, ticket)
  local is_in = call('ZREM', queue_key(base, kind, device), ticket) == 1
  if is_in then count_waiting(base, kind, -1) end
  return is_in
end

-- Takes a ticket out; its place is kept. Returns how many were before it, or nil.
local function leave(base, kind, device, ticket)
  local key = queue_key(base, kind, device)
  local ahead = attempt('ZRANK', key, ticket)
  if type(ahead) ~= 'number' then return nil end
  queue_scores.keep(base, kind, device, ticket, call('ZSCORE', key, ticket))
  take(base, kind, device, ticket)
  return ahead
end

-- Puts a ticket in.
local function put(base, kind, device, ticket, score)
  call('ZADD', queue_key(base, kind, device), score, ticket)
  count_waiting(base, kind, 1)
end

-- Whether a ticket is in.
local function has(base, kind, device, ticket)
  return call('ZSCORE', queue_key(base, kind, device), ticket)
end

-- Whether a ticket has this score.
local function is_taken(base, kind, device, score)
  return attempt('ZRANGEBYSCORE', queue_key(base, kind, device), score, score)[1] ~= nil
end

-- Whether two tickets are of one request: the later one is a retry of the earlier one.
local function is_same(ticket, other)
  if ticket == other then return true end
  local request = string.match(ticket, '^%S+ %S+ (%S+)')
  return request ~= nil and request ~= '-' and request == string.match(other, '^%S+ %S+ (%S+)')
end

local queue = {length = length, inform = inform, first = first_of, head = head, take = take,
  leave = leave, put = put, has = has, is_taken = is_taken, is_same = is_same}
