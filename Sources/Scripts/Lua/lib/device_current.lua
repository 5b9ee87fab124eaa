-- The current session of a device after another has ended, has gone, or was imported.
-- USES: batch, session_index, device_lines
-- GIVES: settle_line, arrive, has_ended, has_gone

-- Puts the one that was active last first; of two at once, the one opened or recovered last.
local function choose_live(base, device, ids)
  local best, best_at
  for n, id in ipairs(ids) do
    local at = tonumber(peek(base, device, id, 'active')[1] or 0) or 0
    if not best or at > best_at then best, best_at = n, at end
  end
  if best then table.insert(ids, 1, table.remove(ids, best)) end
end

-- Of a device's sessions, of which none is live, the one that ended last; of its newest 1,000.
local function ended_last(base, device)
  local best, best_at
  for _, id in ipairs(regardless(ids_of, base, device, '', 1000) or {}) do
    local v = peek(base, device, id, 'state', 'since', 'ended')
    local at = tonumber(v[1] == 'archived' and v[3] or v[2] or 0) or 0
    if v[1] and (not best or at > best_at) then best, best_at = id, at end
  end
  return best
end

-- Writes the line of the sessions left: `ids` live; the first of them was the current one if
-- `is_kept`.
local function settle_line(base, device, ids, is_kept)
  if not is_kept then choose_live(base, device, ids) end
  local ended = #ids == 0 and ended_last(base, device)
  if #ids == 0 and not ended then return call('HDEL', base .. ':devices', device) end
  write_line(base, device, ids, ended)
end

-- An imported session. It is the current one only if no other one is live, and it or none is.
local function arrive(base, device, id, is_live)
  local before, current = live_ids(base, device, true)
  local ids = without(before, id)
  if is_live then table.insert(ids, current == id and 1 or #ids + 1, id) end
  settle_line(base, device, ids, ids[1] ~= nil and ids[1] == current)
end

-- A session that is not live any more.
local function has_ended(base, device, id)
  local ids, current = live_ids(base, device, true)
  local rest = without(ids, id)
  if current == id then choose_live(base, device, rest) end
  write_line(base, device, rest, id)
end

-- A session that is not there any more.
local function has_gone(base, device, id)
  local ids, current = live_ids(base, device)
  if not current then return end
  local rest = without(ids, id)
  if current == id or #rest < #ids then settle_line(base, device, rest, current ~= id) end
end
