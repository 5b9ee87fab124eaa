-- How a lock is granted to a caller that waits: the step that frees the lock writes a record of a
-- second for the first ticket, and the ticket's worker acquires the lock in a step of its own. Such
-- a ticket has two words more than a turn's: the agent, and `fresh` for a caller that shares no
-- lock with others of its agent, or `-`. `ticket:<device>` has the ticket's score, the token of the
-- grant and the ticket. Another caller of the agent may begin the lock before; the ticket's has it
-- all the same when it comes.
-- USES: batch, changes, ledger, tokens, lock_records, lock_deadlines, queue,
--   queue_entry
-- GIVES: lock_grants

-- So long a grant waits for its worker, as a record has it.
local GRANT_TTL = '1s'
-- So many tickets that are corrupt are dropped in one step.
local DROPPED_MAX = 16

local function ticket_key(base, device) return base .. ':ticket:' .. device end

-- The first ticket, its score and its agent; or nil.
local function first(base, device)
  for _ = 1, DROPPED_MAX do
    local ticket, score = queue.head(base, 'l', device)
    if not ticket then return nil end
    local agent = string.match(ticket, "^%S+ %S+ %S+ ([%w._:@+%-%%~!*'()]+) %S+$")
    if agent and #agent <= 128 then return ticket, score, agent end
    queue.take(base, 'l', device, ticket)
  end
end

-- Grants a lock that is free to the first ticket. Returns the record, or nil if none waits.
local function grant_lock(base, device)
  local ticket, score, agent = first(base, device)
  if not ticket then return nil end
  local ledger, ms = base .. ':ledger', ms_of(GRANT_TTL)
  local token, ends_at = next_token(attempt('HMGET', ledger, 'token')[1]), text(now_ms + ms)
  local record = make_record(ends_at, token, agent, now_text, GRANT_TTL, '*')
  call('SET', record_key(base, device), record)
  call('SET', ticket_key(base, device), score .. ' ' .. token .. ' ' .. ticket, 'PX',
    text(ms * 10))
  queue.take(base, 'l', device, ticket)
  regardless(call, 'HSET', ledger, 'token', token)
  watch_lock(base, device, ends_at)
  queue.inform(base, 'l', device, ticket, 'ready')
  return record
end

-- The ticket to which the lock of a record was granted, if it has not come yet, and its score; or
-- nil.
local function ticket_of(base, device, record)
  local score, token, ticket = string.match(fetch(ticket_key(base, device)) or '',
    '^(%d+) (%d+) (.+)$')
  if token and token == cut(record, 15, 30) then return ticket, score end
end

-- Whether the lock of a record was granted to this ticket, or an earlier one of its request.
local function is_of(base, device, record, ticket)
  local other = ticket ~= '' and ticket_of(base, device, record)
  return other and queue.is_same(ticket, other)
end

-- Takes the ticket of a grant as above.
local function take_ticket(base, device, record)
  local ticket, score = ticket_of(base, device, record)
  call('DEL', ticket_key(base, device))
  return ticket, score
end

-- A grant that was not acquired: its worker does not answer.
local function pass_lock_over(base, device, record)
  local ticket, score = take_ticket(base, device, record)
  if ticket then pass_over(base, 'l', device, ticket, score) end
end

-- A grant that another agent seizes goes back to where it came from.
local function put_lock_back(base, device, record)
  local ticket, score = take_ticket(base, device, record)
  if ticket then queue.put(base, 'l', device, ticket, score) end
end

-- Makes a grant the lock that it is for; its ticket has not come yet.
local function begin_lock(base, device, record, ttl)
  local _, token, agent = read_record(record)
  local ends_at, kept = text(now_ms + ms_of(ttl)), without_quota(ttl)
  count_held(base, agent, owner_of(ttl))
  call('SET', record_key(base, device), make_record(ends_at, token, agent, now_text, kept))
  watch_lock(base, device, ends_at)
  push(base, device, 'lock.acquired', nil, nil, ',"agent":"%s","ttl_ms":%.0f', agent, ms_of(ttl))
end

-- The ticket has come: the lock is its caller's.
local function drop_ticket(base, device) call('DEL', ticket_key(base, device)) end

local lock_grants = {next = grant_lock, ticket_of = ticket_of, is_of = is_of,
  pass_over = pass_lock_over, put_back = put_lock_back, begin = begin_lock, drop = drop_ticket}
