-- The record of a device's turn: a hash, `turn:<device>`, without a TTL: it outlives its deadline,
-- so that the event says when exactly the turn ended. A record that is corrupt counts as none, and
-- the next turn replaces it. `said` has a line for each run of messages that the turn has said,
-- `<session>/<chat> <first> <last>`; `joined` the numbers of the messages that wait for its DONE.
-- A turn with a `ticket` is a grant, see turn_grants.lua; one with `settle` has a caller without
-- its reply, see turn_settling.lua.
-- USES: batch, ledger
-- GIVES: turn_key, draft_key, fetch_turn, running_turn, turn_of_fence, stale_turn, has_room,
--   write_turn, note_said, renew_turn

local function turn_key(base, device) return base .. ':turn:' .. device end

-- The pieces of an answer that a turn writes: `<turn> <session> <chat>`, a new line, and their JSON
-- with commas between. It goes with its turn, at its deadline too.
local function draft_key(base, device) return base .. ':draft:' .. device end

-- The turn of a device as its record says it, whatever its deadline; nil without one.
local function fetch_turn(base, device)
  local v = attempt('HMGET', turn_key(base, device), 'turn', 'ends', 'ttl', 'agent', 'session',
    'chat', 'said', 'joined', 'ticket', 'place', 'settle')
  if v.err or not v[1] then return nil end
  local ends_at, ttl_ms, chat = known_figure(v[2]), known_figure(v[3]), known_figure(v[6])
  if not find(v[1], '^[1-9]%d*$') or not (ends_at and ttl_ms and chat) then return nil end
  return {base = base, device = device, turn = v[1], ends_at = ends_at, ttl_ms = ttl_ms,
    agent = v[4] or '', session = v[5] or '', chat = chat, said = v[7] or '',
    joined = v[8] or '', ticket = v[9] or '', place = v[10] or '',
    settle = v[11] or ''}
end

-- The device's turn of that number, if it runs and is no grant; or nil.
local function running_turn(base, device, number)
  local t = fetch_turn(base, device)
  return t and t.turn == number and t.ends_at > now_ms and t.ticket == '' and t or nil
end

-- The number of a fence that is a turn's, `t<number>`; nil if it is a lock's token or empty.
local function turn_of_fence(fence) return string.match(fence, '^t(%d+)$') end

-- The reply to a request of a turn that does not run, which says whether it was interrupted.
local function stale_turn(base, device, number)
  local line = fetch(base .. ':interrupted:' .. device) or ''
  local was = find(' ' .. line .. ' ', ' ' .. number .. ' ', 1, true)
  return 'STALE {"interrupted":' .. (was and 'true' or 'false') .. '}'
end

-- Whether what a turn says next can be noted: there is a limit on the lines.
local RUNS_MAX = 1000
local function has_room(t)
  local _, runs = string.gsub(t.said, '\n', '\n')
  return runs < RUNS_MAX
end

-- Writes the record of a turn that begins, which is a new one up to then.
local function write_turn(t)
  t.is_new = nil
  local writes = {}
  if t.agent ~= '' then writes = {'agent', t.agent} end
  if t.said ~= '' then writes[#writes + 1], writes[#writes + 2] = 'said', t.said end
  call('HSET', turn_key(t.base, t.device), 'turn', t.turn, 'ends', text(t.ends_at), 'ttl',
    text(t.ttl_ms), 'session', t.session, 'chat', text(t.chat), unpack(writes))
end

-- Adds what a turn has said in a chat. Messages without a gap between them share a line. Returns
-- nil, and writes nothing, if there are too many lines. A new turn's record is written later.
local function note_said(t, id, chat, first, last)
  local place = id .. '/' .. chat
  local kept, at, from, to = string.match(t.said, '^(.-)([^\n]+) (%d+) (%d+)\n$')
  if at and find(kept, '[^\n]$') then kept, at = nil, nil end
  if at == place and to + 1 == first then
    t.said = kept .. place .. ' ' .. from .. ' ' .. text(last) .. '\n'
  else
    if not has_room(t) then return nil end
    t.said = t.said .. place .. ' ' .. text(first) .. ' ' .. text(last) .. '\n'
  end
  if not t.is_new then call('HSET', turn_key(t.base, t.device), 'said', t.said) end
  return true
end

-- Starts the turn's TTL again. The deadline only moves away, so the index is not written.
local function renew_turn(t)
  t.ends_at = math.max(t.ends_at, now_ms + t.ttl_ms)
  call('HSET', turn_key(t.base, t.device), 'ends', text(t.ends_at))
  call('PEXPIREAT', draft_key(t.base, t.device), text(t.ends_at))
end
