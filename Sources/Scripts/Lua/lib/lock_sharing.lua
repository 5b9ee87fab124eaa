-- Callers that wait for a lock, and share it with others of their agent.
-- USES: batch, queue
-- GIVES: inform_sharing

-- So many of the first tickets are looked at.
local SHARING_MAX = 100

-- Callers that wait for the lock that this agent has now need not wait: they ask again.
local function inform_sharing(base, device, agent)
  local rest = ' ' .. agent .. ' -'
  for _, ticket in ipairs(queue.first(base, 'l', device, SHARING_MAX)) do
    if cut(ticket, -#rest) == rest then queue.inform(base, 'l', device, ticket, 'passed') end
  end
end
