-- The cleanup after a transition: entries in the indexes, and the way back to active.
-- USES: batch, activity, changes, ledger, session_index, session_find, session_members, clocks,
--   transitions, device_lines, device_current
-- RARELY: transition
-- GIVES: remove_entries, remove_lost, recount, wrong_state, recoverable, recover

-- Removes the entries of a record that has gone: in the count of its state and in the indexes. All
-- that can be removed is, whatever keys are corrupt.
local function remove_entries(base, device, id, state)
  -- First what a full Redis may refuse, as in `transition`.
  count(base, 'state:' .. state, -1)
  push(base, device, 'log', id, nil, '')
  attempt('ZREM', base .. ':due', due_member({device = device, id = id, state = state}))
  attempt('ZREM', base .. ':sessions', device .. '/' .. id)
  drop_activity(base, device, id)
  regardless(has_gone, base, device, id)
end

-- The same for a record that went by its TTL before it was reaped.
local function remove_lost(base, device, id, state)
  remove_entries(base, device, id, state)
  if LIVE[state] then forget_chats(base) end
end

-- Counts a device's live sessions anew: one whose record went by its TTL while no worker lived has
-- no ending, and would be counted for ever. Once in a call: the records that are gone are gone for
-- all of it, however many of the device are met; most were closed, and kept.
local recounted, recounted_in = {}, 0
local function recount(base, device, is_full)
  local ids, current, is_corrupt = live_ids(base, device)
  if recounted_in ~= call_number then recounted_in, recounted = call_number, {} end
  if not current or recounted[device] then return end
  recounted[device] = true
  local live = {}
  for _, id in ipairs(ids) do
    if LIVE[peek(base, device, id, 'state')[1]] then live[#live + 1] = id end
  end
  if #live == #ids and not is_corrupt then return end
  -- What the line says is not so: before a session is refused, all records are looked at.
  if is_full then live = read_live(base, device, -1) end
  regardless(settle_line, base, device, live, live[1] == current and not is_corrupt)
end

local function wrong_state(s, verb)
  return string.format('ERR illegal_state %s: the session is %s', verb, s.state)
end

-- Whether a session's state allows that it becomes active again; `archived` allows an archived one
-- too.
local function recoverable(s, archived)
  return LIVE[s.state] or s.state == 'abandoned' or archived and s.state == 'archived'
end

-- Makes a session active again, or notes activity of an active one, unless messages follow, which
-- are activity. Its life begins again only if it did not live any more.
local function recover(s, is_said)
  if not is_said or s.state ~= 'active' then
    note_activity(s)
    write_members(s, 'active', now_text)
  end
  if not LIVE[s.state] then
    s.born = now_ms
    call('HSET', s.key, 'born', now_text)
  end
  if s.state ~= 'active' then
    transition(s, 'active', now_ms, 'null', 'recovered')
  end
  regardless(make_current, s.base, s.device, s.id)
end
