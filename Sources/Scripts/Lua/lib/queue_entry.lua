-- How tickets come into a queue, and how those of a worker that does not answer leave it.
-- USES: batch, queue, queue_scores
-- GIVES: enter_queue, pass_over

-- Puts a ticket into the queue: last, or at the place that its caller has left, or where an earlier
-- ticket of the same request stands, whose worker is informed. Returns the reply to the worker, or
-- a refusal.
local function enter_queue(base, kind, device, ticket, wait_ms)
  if queue.has(base, kind, device, ticket) then return 'WAIT' end
  local score, other = queue_scores.of(base, kind, device, ticket)
  if score and queue.take(base, kind, device, other) then
    queue.inform(base, kind, device, other, 'replaced')
  end
  if not score then
    local waiting = queue.length(base, kind, device)
    if waiting >= WAITING_MAX then
      return 'ERR overloaded ' .. waiting .. ' of ' .. WAITING_MAX
        .. ' callers wait for this device; nothing was done, retry after a pause'
    end
    local _, last = queue.head(base, kind, device, true)
    score = text(math.max((tonumber(last) or 0) + 1, now_us))
  end
  queue.put(base, kind, device, ticket, score)
  local id = string.match(ticket, '^%S+ %S+ (%S+)')
  if id and id ~= '-' then queue_scores.keep(base, kind, device, ticket, score, wait_ms) end
  return 'WAIT'
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
