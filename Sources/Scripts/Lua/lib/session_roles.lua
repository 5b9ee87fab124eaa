-- Which role a request has in the session that it names, and whether its verb needs more. This is
-- decided here alone, in the step that it guards: an owner is a user to whom the session is linked;
-- others have what the record's `shares` give them, a line each of role, user and the time at which
-- it ends or 0; a ticket, `#<role>.<generation>.<end>` and `.<user>` if a user has issued it, has
-- its role as long as the record's `tickets` has its generation and that user may issue tickets.
-- USES: batch, session_users, shares
-- RARELY: clock_ms, role_lent, shares_in
-- GIVES: find_role

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
  local seen = attempt('HMGET', key, 'shares', 'tickets', 'links')
  local word, generation, over_at, issuer = string.match(users, '^#(%l+)%.(%x+)%.(%d+)%.?(.*)$')
  local shares = type(seen[1]) == 'string' and seen[1] or ''
  if not word then return shared_role(shares, users) end
  over_at = tonumber(over_at)
  if over_at <= clock_ms() then
    error({refusal = 'ERR auth_required the ticket has expired: ask for another one'})
  end
  if not RANKS[word] or seen[2] ~= generation then return nil end
  if issuer == '' or is_of_users('=' .. issuer, seen[3]) then return word, over_at end
  local role, ends_at = shared_role(shares, '=' .. issuer)
  if role ~= 'own' then return nil end
  return word, ends_at > 0 and math.min(ends_at, over_at) or over_at
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
