-- STATS: a part of a partition's figures, as words: where its agents and its sessions go on, `-` if
-- at their end; then names and values in turn, those that are 0 left out, `?` for one that is
-- corrupt. Beginning with agents gives the counters too. Of the sessions, the ids of the oldest and
-- the newest and when these were opened.
-- USES: batch, requests, ledger
-- KEYS: the base key of each request's partition
-- ARGV: agents_from? (0 begins; without it none), sessions_from? (- begins), limit
-- RETURNS: OK
local NAMES = {'released', 'abandoned', 'handed_off', 'returned', 'seized', 'cleared', 'held_ms',
  'held_at', 'turns_running', 'turns_waiting', 'turns_begun', 'turns_abandoned',
  'turns_interrupted', 'state:active', 'state:paused', 'state:abandoned', 'state:archived',
  'state:completed', 'state:failed', 'state:expired', 'opened', 'closed', 'expired', 'more_chats'}

local words

-- Adds a figure: the reply of a command that counts, or what a counter has.
local function add(name, value)
  local known = type(value) ~= 'table' and known_figure(value)
  if known ~= 0 then
    words[#words + 1], words[#words + 2] = name, known and string.format('%.0f', known) or '?'
  end
end

local function add_counters(base, ledger)
  add('devices', attempt('HLEN', base .. ':devices'))
  add('users', attempt('SCARD', base .. ':users'))
  add('sessions', attempt('ZCARD', base .. ':sessions'))
  add('now', now_ms)
  local seen = attempt('HMGET', ledger, unpack(NAMES))
  if seen.err then return add('ledger', seen) end
  for n, name in ipairs(NAMES) do add(name, seen[n]) end
end

-- Adds the locks of some agents. Returns where the next ones are. A text that is no id would
-- corrupt the line.
local function add_agents(ledger, from, limit)
  local found = attempt('HSCAN', ledger, from, 'MATCH', 'held:*', 'COUNT', limit)
  if found.err then return '-' end
  for n = 1, #found[2], 2 do
    local is_id = find(found[2][n], "^held:[%w._:@+%-%%~!*'()]+$")
    add(is_id and found[2][n] or 'held:', is_id and found[2][n + 1] or 'none')
  end
  return found[1] == '0' and '-' or found[1]
end

local function add_opened(base, name, entry)
  if not entry then return end
  local created = attempt('HGET', base .. ':session:' .. entry, 'created')
  local is_time = type(created) == 'string' and find(created, '^%d+$')
  words[#words + 1], words[#words + 2] = name, cut(entry, -26) .. (is_time and created or '')
end

-- Adds the oldest and the newest of some sessions. Returns where the next ones are.
local function add_sessions(base, from, limit)
  from = from == '-' and from or '(' .. from
  local found = attempt('ZRANGEBYLEX', base .. ':sessions', from, '+', 'LIMIT', '0', limit)
  if found.err then return '-' end
  local oldest, newest
  for _, entry in ipairs(found) do
    local id = find(entry, '^%S+/%w+$') and cut(entry, -27, -27) == '/' and cut(entry, -26)
    if id and (not oldest or id < cut(oldest, -26)) then oldest = entry end
    if id and (not newest or id > cut(newest, -26)) then newest = entry end
  end
  add_opened(base, 'oldest', oldest)
  add_opened(base, 'newest', newest)
  local last = found[#found]
  return #found == tonumber(limit) and not find(last, '%s') and last or '-'
end

return each(function(base, agents_from, sessions_from, limit)
  local ledger = base .. ':ledger'
  words = {'OK', '-', '-'}
  if agents_from == '0' then add_counters(base, ledger) end
  if agents_from ~= '' then words[2] = add_agents(ledger, agents_from, limit) end
  if sessions_from ~= '' then words[3] = add_sessions(base, sessions_from, limit) end
  return table.concat(words, ' ')
end)
