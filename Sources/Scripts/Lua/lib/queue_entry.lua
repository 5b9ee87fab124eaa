-- How tickets come into a queue, and how those of a worker that does not answer leave it.
-- USES: batch, idempotency, queue, queue_scores
-- GIVES: enter_queue, pass_over

-- The score of a ticket without a kept place: the last one. One that comes again, because Redis has
-- lost the queue, has the one that it had, or where its worker never learned that, one by the time
-- of its arrival; or the next one that is free.
local function score_of(base, kind, device, waited_ms, place)
  local score = find(place, '^%d+$') and tonumber(place) or now_us - waited_ms * 1000
  if waited_ms == 0 then
    local _, last = queue.head(base, kind, device, true)
    return text(math.max((tonumber(last) or 0) + 1, score))
  end
  while queue.is_taken(base, kind, device, text(score)) do score = score + 1 end
  return text(score)
end

-- Puts a ticket into the queue: last, or at the place that its caller has left, or where an earlier
-- ticket of the same request stands, whose worker is informed. `waited_ms` is 0 when a ticket comes
-- for the first time, and `place` the score that it had then, or empty. `granted` is the ticket
-- that has a grant now, or empty. Returns the reply to the worker, WAIT and the score; nil if the
-- place is that of a later ticket of the same request.
local function enter_queue(base, kind, device, ticket, wait_ms, waited_ms, place, granted)
  local score = queue.has(base, kind, device, ticket)
  if score then return 'WAIT ' .. score end
  local other
  score, other = queue_scores.of(base, kind, device, ticket)
  local is_there = other and (other == granted or queue.has(base, kind, device, other))
  if other and not queue.is_same(ticket, other) then
    if is_there then return 'ERR ' .. OTHER_REQUEST end
    score = nil
  elseif is_there and waited_ms ~= '0' then
    return nil
  elseif is_there and queue.take(base, kind, device, other) then
    queue.inform(base, kind, device, other, 'replaced')
  end
  if not score then
    local waiting = queue.length(base, kind, device)
    if waiting >= WAITING_MAX then
      return 'ERR overloaded ' .. waiting .. ' of ' .. WAITING_MAX
        .. ' callers wait for this device; nothing was done, retry after a pause'
    end
    score = score_of(base, kind, device, tonumber(waited_ms), place)
  end
  queue.put(base, kind, device, ticket, score)
  local request = string.match(ticket, '^%S+ %S+ (%S+)')
  if request and request ~= '-' then
    queue_scores.keep(base, kind, device, ticket, score, wait_ms)
  end
  return 'WAIT ' .. score
end

-- A worker does not answer: its tickets are passed over, in one step this many. Each keeps its
-- place for a while, and its worker is informed, in case it lives and was late.
local PASSED_MAX = 1000
local function pass_over(base, kind, device, ticket, score)
  queue_scores.keep(base, kind, device, ticket, score)
  queue.inform(base, kind, device, ticket, 'passed')
  local worker = string.match(ticket, '^%S+ ')
  if not worker then return end
  for _, other in ipairs(queue.first(base, kind, device, PASSED_MAX)) do
    if cut(other, 1, #worker) == worker then
      queue.leave(base, kind, device, other)
      queue.inform(base, kind, device, other, 'passed')
    end
  end
end
