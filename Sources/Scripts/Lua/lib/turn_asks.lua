-- How a request for a turn begins, and how it ends where it begins none.
-- USES: batch, queue, turn_grants, turn_ends
-- RARELY: queue, turn_grants, live_turn, end_turn
-- GIVES: turn_before, answer

-- The turn that stands before a request: the running one, or a grant to another ticket; or nil, and
-- the one that was granted to the request's own; and whether there is no record of any.
local function turn_before(base, device, ticket)
  if is_turn_still(base, device) then return nil, nil, true end
  -- Callers wait where no turn runs only if its record was removed by other means.
  local t = live_turn(base, device) or turn_grants.next(base, device)
  if t and t.ticket ~= '' and queue.is_same(ticket, t.ticket) then return nil, t, false end
  return t, nil, false
end

-- Answers a request that begins no turn and waits no more: a turn that was granted to it goes to
-- the next one. Not if it asks for reservations, and comes again.
local function answer(base, device, taken, ticket, reply)
  if cut(reply, 1, 5) == 'MORE ' then return reply end
  if taken then
    end_turn(taken, 'done')
    turn_grants.next(base, device)
  elseif ticket ~= '' then
    queue.leave(base, 't', device, ticket)
  end
  return reply
end
