-- Adds up what a worker has delivered for a hook since it noted that last. A note that comes again,
-- because its answer was lost, counts once: the numbers of a worker's notes grow. Of other workers,
-- what is under way is removed when they have noted nothing for long.
-- USES: batch, hook_keys
-- KEYS: the base key of the first partition
-- ARGV: worker, name, number, delivered, failed, under_way, fault?
-- RETURNS: OK, NONE

local STALE_MS = 60000

local function remove_stale(figures, name)
  local fields = call('HGETALL', figures)
  for at = 1, #fields, 2 do
    local noted = string.match(fields[at + 1], '^%d+ (%d+) %d+$')
    if string.match(fields[at], '^way [^ ]+ (.+)$') == name
      and not (noted and now_ms - noted < STALE_MS) then
      call('HDEL', figures, fields[at])
    end
  end
end

-- The number of the latest note of a worker; 0 if that is not known.
local function last_number(figures, way)
  local kept = attempt('HGET', figures, way)
  return type(kept) == 'string' and tonumber(string.match(kept, '^%d+ %d+ (%d+)$')) or 0
end

-- A figure that is no number begins again.
local function add(figures, field, count)
  if tonumber(count) == 0 then return end
  if type(attempt('HINCRBY', figures, field, count)) == 'table' then
    call('HSET', figures, field, count)
  end
end

return function(keys, worker, name, number, delivered, failed, under_way, fault)
  local base = keys[1]
  if attempt('HEXISTS', hook_keys.definitions(base), name) ~= 1 then return 'NONE' end
  local figures = hook_keys.figures(base)
  if type(attempt('HLEN', figures)) == 'table' then call('DEL', figures) end
  local way = 'way ' .. worker .. ' ' .. name
  if last_number(figures, way) >= tonumber(number) then return 'OK' end
  add(figures, 'delivered ' .. name, delivered)
  add(figures, 'failed ' .. name, failed)
  if delivered ~= '0' then call('HSET', figures, 'delivered_at ' .. name, now_text) end
  if fault ~= '' then
    call('HSET', figures, 'error ' .. name, fault, 'error_at ' .. name, now_text)
  end
  call('HSET', figures, way, under_way .. ' ' .. now_text .. ' ' .. number)
  remove_stale(figures, name)
  return 'OK'
end
