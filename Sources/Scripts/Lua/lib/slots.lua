-- How a request in a cluster finds out that its slot is at another node, or on its way there.
-- USES: batch
-- GIVES: elsewhere

-- The refusal of a request whose slot this node does not have, or not all of while it moves; nil if
-- it has. A key that is never there shows both, and nothing was done then: a slot does not begin to
-- move within a call.
local here = {}
local function elsewhere(base)
  if here[base] == call_number then return nil end
  local seen = attempt('EXISTS', base)
  if type(seen) == 'table' then
    local is_slot = find(seen.err, 'cluster', 1, true)
    return 'ERR internal ' .. (is_slot and 'ELSEWHERE' or seen.err)
  end
  here[base] = call_number
end
