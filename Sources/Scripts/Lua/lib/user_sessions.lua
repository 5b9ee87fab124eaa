-- Which of a device's sessions is the current one for a request that is limited to some users.
-- USES: batch, session_index, session_users
-- RARELY: is_of_users
-- GIVES: current_of, only_live

-- So many sessions of a device are looked at, where none of the live ones is theirs.
local LISTED_MAX = 1000

-- The current session of some users: of their live ones on the device that which was active last,
-- else the one that ended last; of several at once the newest. Others' sessions make no difference.
local function current_of(base, device, users)
  local line, best, best_at, is_live = attempt('HGET', base .. ':devices', device), nil, nil, nil
  if not line then return nil end
  local function look(id)
    local seen = attempt('HMGET', base .. ':session:' .. device .. '/' .. id, 'links', 'state',
      'active', 'since', 'ended')
    if seen.err or not is_of_users(users, seen[1]) then return end
    local lives = LIVE[seen[2]] or false
    local at = tonumber(lives and seen[3] or seen[2] == 'archived' and seen[5] or seen[4] or 0) or 0
    local is_better = lives and not is_live
      or lives == (is_live or false) and (not best or at > best_at or at == best_at and id > best)
    if is_better then best, best_at, is_live = id, at, lives end
  end
  local listed = type(line) == 'string' and string.match(line, '^[1-9]%d* ([^/]+)$')
  for id in string.gmatch(listed or '', '%S+') do look(id) end
  if is_live then return best end
  for _, id in ipairs(ids_of(base, device, '', LISTED_MAX)) do look(id) end
  return best
end

-- The only live session of a device, as its line says; or nil.
local function only_live(base, device)
  local line = attempt('HGET', base .. ':devices', device)
  return type(line) == 'string' and string.match(line, '^1 ([^ /]+)$') or nil
end
