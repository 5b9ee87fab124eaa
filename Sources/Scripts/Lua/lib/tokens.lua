-- Fencing tokens: one row of numbers for a partition's locks and turns. Each is greater than all
-- before it. The clock makes it so even where Redis has lost its newest writes, or the last token
-- in the ledger is corrupt: none, or of a year after 2255.
-- USES: batch, ledger
-- GIVES: next_token

-- `last_given` is the call's last token: a ledger of another type keeps none.
local TOKEN_MAX, last_given, given_in = 9000000000000000, 0, 0

-- The next token, from the ledger's last one.
local function next_token(seen)
  if given_in ~= call_number then given_in, last_given = call_number, 0 end
  local last = counted(seen, 0)
  last_given = math.max((last > TOKEN_MAX and 0 or last) + 1, last_given + 1, now_us)
  return text(last_given)
end
