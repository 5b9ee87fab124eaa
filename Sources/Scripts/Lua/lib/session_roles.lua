-- Which role a request has in the session that it names, and whether its verb needs more. This is
-- decided here alone, in the step that it guards: an owner is a user to whom the session is linked;
-- others have what the record's `shares` give them, a line each of role, user and the time at which
-- it ends or 0; a ticket, `#<role>.<generation>.<end>`, has its role as long as the record's
-- `tickets` has its generation.
-- USES: batch, session_users
-- RARELY: clock_ms, role_lent, live_shares
-- GIVES: find_role, live_shares, shown_shares

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

-- The greatest role that these shares give one of the users, or nil; and when that ends, or 0.
local function shared_role(shares, users)
  local best
  for _, share in ipairs(shares_in(shares)) do
    local is_more = not best or RANKS[share.role] > RANKS[best.role]
    if is_more and is_of_users(users, 'user ' .. share.user .. '\n')
      and (share.ends_at == 0 or share.ends_at > clock_ms()) then
      best = share
    end
  end
  if best then return best.role, best.ends_at end
end

-- The role of users or a ticket that do not own a session, and when it ends; or nil.
local function role_lent(key, users)
  local seen = attempt('HMGET', key, 'shares', 'tickets')
  local word, generation, over_at = string.match(users, '^#(%l+)%.(%x+)%.(%d+)$')
  if not word then return shared_role(type(seen[1]) == 'string' and seen[1] or '', users) end
  if tonumber(over_at) <= clock_ms() then
    error({refusal = 'ERR auth_required the ticket has expired: ask for another one'})
  end
  if RANKS[word] and seen[2] == generation then return word, tonumber(over_at) end
end

-- The role in the session with this key, `own` for its owners; nil if there is none, as if the
-- session were not there; and when it ends, 0 or nil for never. A role that is less than the needed
-- one fails the request.
local function find_role(key, users, needed, is_shared)
  if not is_shared and is_of_users(users, attempt('HGET', key, 'links')) then return 'own' end
  -- A verb without a role is not about one session.
  if not needed then return nil end
  local role, ends_at = role_lent(key, users)
  if role and RANKS[role] < (RANKS[needed] or 3) then
    error({refusal = 'ERR forbidden this needs the role ' .. needed
      .. ' in this session, and yours is ' .. role})
  end
  return role, ends_at
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
