-- How a turn is granted to a caller that waits: the step that ends a turn writes one of a second
-- for the first ticket, and the ticket's worker begins it in a step of its own.
-- USES: batch, changes, ledger, tokens, turn_records, queue, queue_entry
-- GIVES: is_queue_still, is_turn_still, turn_grants

-- Whether no caller waits for a turn of the device, and nothing is watched.
local function is_queue_still(base, device)
  return is_still(base, queue_key(base, 't', device))
end

-- Whether the device has no turn either.
local function is_turn_still(base, device)
  return is_still(base, queue_key(base, 't', device), turn_key(base, device))
end

-- So long a grant waits for its worker.
local GRANT_MS = 1000

-- Grants the turn to the first ticket. Returns the turn, or nil if none waits.
local function grant_turn(base, device)
  local ticket, score = queue.head(base, 't', device)
  if not ticket then return nil end
  local ledger = base .. ':ledger'
  local seen = attempt('HMGET', ledger, 'token', 'turns_running')
  local number, ends_at = next_token(seen[1]), now_ms + GRANT_MS
  call('DEL', turn_key(base, device))
  call('HSET', turn_key(base, device), 'turn', number, 'ends', text(ends_at), 'ttl',
    text(GRANT_MS), 'chat', '0', 'ticket', ticket, 'place', score)
  queue.take(base, 't', device, ticket)
  regardless(call, 'HSET', ledger, 'token', number, 'turns_running', counted(seen[2], 1))
  regardless(call, 'ZADD', base .. ':due', text(ends_at), 't:' .. device)
  queue.inform(base, 't', device, ticket, 'ready')
  return fetch_turn(base, device)
end

-- A grant that was not begun: its worker does not answer.
local function pass_over_turn(t) pass_over(t.base, 't', t.device, t.ticket, t.place) end

-- A grant that another caller interrupts goes back to where it came from.
local function put_turn_back(t) queue.put(t.base, 't', t.device, t.ticket, t.place) end

local turn_grants = {next = grant_turn, pass_over = pass_over_turn, put_back = put_turn_back}
