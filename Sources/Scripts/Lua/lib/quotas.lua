-- The form of the errors that name a quota.
-- USES: nothing
-- GIVES: exceed

-- The error of so many of something, of which there may be `most`.
local function exceed(count, most, what)
  return 'ERR quota quota exceeded: ' .. count .. ' of ' .. most .. ' ' .. what
end
