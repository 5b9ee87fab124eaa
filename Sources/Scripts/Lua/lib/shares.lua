-- The users with whom a session is shared: lines of its record.
-- USES: session_users
-- RARELY: clock_ms, is_of_users
-- GIVES: RANKS, shares_in, live_shares, shown_shares

local RANKS = {read = 1, write = 2, own = 3}

-- The shares in a text, each as its line, user, role, and the time at which it ends or 0. A line of
-- another form is none.
local function shares_in(lines)
  local found = {}
  for line in string.gmatch(lines, '([^\n]*)\n') do
    local role, user, ends_at = string.match(line, '^(%l+) (%S+) (%d+)$')
    if role and RANKS[role] then
      ends_at = tonumber(ends_at)
      found[#found + 1] = {line = line .. '\n', user = user, role = role, ends_at = ends_at}
    end
  end
  return found
end

-- The shares that have not ended.
local function live_shares(lines)
  local live = {}
  for _, share in ipairs(shares_in(lines)) do
    if share.ends_at == 0 or share.ends_at > clock_ms() then live[#live + 1] = share end
  end
  return live
end

-- The shares as a record shows them: those that have not ended; to users that do not own the
-- session their own alone. Corrupt ones stay as they are, for the worker to name.
local function shown_shares(lines, users)
  local size, kept = 0, ''
  for _, share in ipairs(shares_in(lines)) do size = size + #share.line end
  if size < #lines and not users then return lines end
  for _, share in ipairs(live_shares(lines)) do
    if not users or is_of_users(users, 'user ' .. share.user .. '\n') then
      kept = kept .. share.line
    end
  end
  return kept
end
