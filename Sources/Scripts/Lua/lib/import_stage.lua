-- Large imports: their parts are written aside, as a session has them, under keys of their own that
-- go by themselves. The hash has the number of parts as `#`.
-- USES: batch, session_index
-- GIVES: staged_session, note_part, staged_whole, write_record

-- What parts are written to in place of a session; no clock of it runs.
local NO_CLOCKS = {idle = 0, abandon = 0, archive = 0, life = 0, keep = 0, warn = 0}
local function staged_session(base, device, stage, chats)
  local s = {base = base, device = device, id = stage, state = 'active', clocks = NO_CLOCKS,
    key = base .. ':import:' .. device .. '/' .. stage, is_staged = true, chats = {}}
  for chat in string.gmatch(chats, '%d+') do s.chats[#s.chats + 1] = tonumber(chat) end
  return s
end

-- Counts one part more; returns how many there are. All keys have one time to go.
local function note_part(s, keep_ms)
  local count = call('HINCRBY', s.key, '#', '1')
  for _, key in ipairs(keys_of(s)) do call('PEXPIRE', key, keep_ms) end
  return count
end

-- What all of so many parts were written to; nil if they are not there. `stage` is their name, a
-- space, and their number.
local function staged_whole(base, device, stage)
  local name, count = string.match(stage, '^(%S+) (%d+)$')
  local s = staged_session(base, device, name, '')
  return attempt('HGET', s.key, '#') == count and s or nil
end

-- Writes the members of a session that has no keys yet, and makes the parts of its chats its own,
-- if they were staged.
local function write_record(base, device, id, fields, s, chats)
  local key = base .. ':session:' .. device .. '/' .. id
  local to = keys_of({key = key, chats = chats})
  if s then call('UNLINK', unpack(to)) end
  for n, from in ipairs(s and keys_of({key = s.key, chats = chats}) or {}) do
    if call('EXISTS', from) == 1 then call('RENAME', from, to[n]) end
  end
  for n = 1, #fields, 400 do
    call('HSET', key, unpack(fields, n, math.min(n + 399, #fields)))
  end
  if not s then return end
  call('HDEL', key, '#')
  local first = call('ZRANGE', key .. '/ttl', '0', '0', 'WITHSCORES')[2]
  if first then regardless(call, 'ZADD', base .. ':due', first, 'd:' .. device .. '/' .. id) end
end
