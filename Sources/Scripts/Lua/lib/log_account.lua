-- The account of a large log: how many of its bytes are each device's. `upto` is the newest entry
-- that it has, `n` the number and `bytes` the size of them all, `scale` how many thousandths of it
-- Redis took for them when none was pending, `heavy` the number of devices with more than
-- EVENT_SHARE_MAX, and `d:<device>` the bytes of each. What is corrupt is made anew.
-- USES: batch, event_entries
-- GIVES: log_account

local function load_account(base)
  local key = base .. ':shares'
  local seen = attempt('HMGET', key, 'upto', 'n', 'bytes', 'heavy', 'scale')
  local upto = type(seen[1]) == 'string' and string.match(seen[1], '^%d+-%d+$')
  local n, bytes, heavy = tonumber(seen[2] or ''), tonumber(seen[3] or ''), tonumber(seen[4] or '')
  if not (upto and n and bytes and heavy) then
    call('DEL', key)
    upto, n, bytes, heavy = '0-0', 0, 0, 0
  end
  return {key = key, upto = upto, n = n, bytes = bytes, heavy = heavy, changes = {},
    scale = tonumber(seen[5] or '') or 1000}
end

-- Adds an entry to the account, or takes it out; returns about how many bytes of Redis' memory it
-- takes.
local function change_account(account, fields, sign)
  local size = 22
  for at = 2, #fields, 2 do size = size + #fields[at] end
  size = math.floor(size * 1.2)
  account.n, account.bytes = account.n + sign, account.bytes + sign * size
  if is_event(fields) then
    local name = 'd:' .. fields[4]
    account.changes[name] = (account.changes[name] or 0) + sign * size
  end
  return size
end

-- Writes the account.
local function save_account(account)
  local names = {}
  for name in pairs(account.changes) do names[#names + 1] = name end
  for start = 1, #names, 200 do
    local last = math.min(start + 199, #names)
    local seen = call('HMGET', account.key, unpack(names, start, last))
    for at = start, last do
      local before = tonumber(seen[at - start + 1] or '') or 0
      local after = before + account.changes[names[at]]
      account.heavy = account.heavy + (after > EVENT_SHARE_MAX and 1 or 0)
        - (before > EVENT_SHARE_MAX and 1 or 0)
      if after > 0 then
        call('HSET', account.key, names[at], text(after))
      else
        call('HDEL', account.key, names[at])
      end
    end
  end
  call('HSET', account.key, 'upto', account.upto, 'n', text(account.n), 'bytes',
    text(account.bytes), 'heavy', text(account.heavy), 'scale', text(account.scale))
  account.changes = {}
end

local log_account = {load = load_account, change = change_account, save = save_account}
