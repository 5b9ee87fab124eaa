-- What a move leaves to be done: places in the indexes, and the way back to active.
-- USES: batch, session_index, clocks, transitions
-- GIVES: sweep_up, recount, wrong_state, recover

-- What is left when a record has gone: its places in the count of its state and in the indexes.
local function sweep_up(base, device, id, state)
  -- First what a full Redis may refuse, as in `move`.
  count(base, 'state:' .. state, -1)
  call('ZREM', base .. ':due', due_member({device = device, id = id, state = state}))
  call('ZREM', base .. ':sessions', device .. '/' .. id)
  if #ids_of(base, device, '', 1) == 0 then call('HDEL', base .. ':devices', device) end
end

-- Counts a device's live sessions anew: one whose record went by its TTL while no worker lived was
-- never told to have ended, and would be counted for ever. Once in a call: the records that are
-- gone are gone for all of it, however many of the device are met; most were closed, and kept.
local recounted
at_begin(function() recounted = {} end)
local function recount(base, device)
  local counted, current = device_line(base, device)
  if counted == 0 or recounted[device] then return end
  recounted[device] = true
  call('HSET', base .. ':devices', device, count_live(base, device) .. ' ' .. current)
end

local function wrong_state(s, verb)
  return string.format('ERR illegal_state %s: the session is %s', verb, s.state)
end

-- Makes a paused or abandoned session active again, or notes activity of an active one. False
-- if its state does not allow that. Its life begins again only if it had been abandoned.
local function recover(s)
  if s.state == 'active' or s.state == 'paused' or s.state == 'abandoned' then
    s.active = now_ms
    call('HSET', s.key, 'active', now_text)
    if s.state == 'abandoned' then
      s.born = now_ms
      call('HSET', s.key, 'born', now_text)
    end
    if s.state ~= 'active' then
      move(s, 'active', now_ms, 'null', 'recovered')
    end
    call('HSET', s.base .. ':devices', s.device,
      device_line(s.base, s.device) .. ' ' .. s.id)
    return true
  end
  return false
end
