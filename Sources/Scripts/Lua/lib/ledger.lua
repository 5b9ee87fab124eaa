-- The counters of a partition, in `ledger`. Counting fails no operation: a counter that is no
-- number begins again, and a ledger of another type counts nothing.
-- USES: batch
-- GIVES: counted, count

-- A counter after `n` more.
local function counted(seen, n)
  local number = tonumber(seen or 0)
  if not number or not (number > -9007199254740992 and number < 9007199254740992) then
    number = 0
  end
  return number + n
end

local function count(base, name, n)
  local ledger = base .. ':ledger'
  if type(attempt('HINCRBY', ledger, name, n)) == 'table' then
    regardless(call, 'HSET', ledger, name, math.max(n, 0))
  end
end
