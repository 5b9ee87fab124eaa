-- STATS: the figures of the whole fleet. Figures that are corrupt are left out and named.
-- USES: batch, ledger
-- KEYS: the base keys of all partitions
-- ARGV: workers
-- RETURNS: OK

-- The name of a figure in the reply.
local function place(name)
  if name == 'held_ms' then return 'locks.held_ms_mean' end
  local of_turn = string.match(name, '^turns_(.+)$')
  if of_turn then return 'turns.' .. of_turn end
  local of_session = string.match(name, '^state:(.+)$')
    or string.match('opened closed expired', name)
  return of_session and 'sessions.' .. of_session or 'locks.' .. name
end

return function(keys, workers)
  local damaged = {}
  local function damage(name)
    if not damaged[name] then damaged[#damaged + 1] = '"' .. name .. '"' end
    damaged[name] = true
  end
  local sums = {released = 0, abandoned = 0, handed_off = 0, returned = 0, seized = 0, cleared = 0,
    ['state:active'] = 0, ['state:paused'] = 0, ['state:abandoned'] = 0, ['state:archived'] = 0,
    opened = 0, closed = 0, expired = 0, held_ms = 0, turns_running = 0, turns_waiting = 0,
    turns_begun = 0, turns_abandoned = 0, turns_interrupted = 0}
  local held, devices, users, by_agent, names = 0, 0, 0, {}, {}
  for _, base in ipairs(keys) do
    local listed, known = attempt('HLEN', base .. ':devices'), attempt('SCARD', base .. ':users')
    if type(listed) == 'number' then devices = devices + listed else damage('devices') end
    if type(known) == 'number' then users = users + known else damage('users') end
    local ledger = attempt('HGETALL', base .. ':ledger')
    if ledger.err then damage('ledger') end
    for i = 1, #ledger, 2 do
      local name, value = ledger[i], known_figure(ledger[i + 1])
      local agent = string.match(name, '^held:(.*)$')
      if sums[name] then
        if not value then damage(place(name)) end
        sums[name] = sums[name] + (value or 0)
      elseif agent and not find(agent, "^[%w._:@+%-%%~!*'()]+$") then
        -- A text that is no id would corrupt the line.
        damage('locks.by_agent')
      elseif agent then
        if not value then damage('locks.by_agent.' .. agent) end
        held = held + (value or 0)
        if not by_agent[agent] then names[#names + 1] = agent end
        by_agent[agent] = (by_agent[agent] or 0) + (value or 0)
      end
    end
  end
  table.sort(names)
  for i, agent in ipairs(names) do names[i] = string.format('"%s":%d', agent, by_agent[agent]) end
  -- A lock's tenure begins when it is free and is taken, and ends when it is free again: passing
  -- it on ends one token and begins another.
  local tenures = sums.released + sums.abandoned + sums.cleared
  local tokens = tenures + sums.handed_off + sums.returned + sums.seized
  return string.format('OK {"locks":{"held":%d,"by_agent":{%s},"acquired":%.0f,"released":%.0f,'
    .. '"abandoned":%.0f,"handed_off":%.0f,"returned":%.0f,"seized":%.0f,"cleared":%.0f,'
    .. '"held_ms_mean":%.0f},'
    .. '"turns":{"running":%d,"waiting":%d,"begun":%.0f,"abandoned":%.0f,"interrupted":%.0f},'
    .. '"sessions":{"active":%d,"paused":%d,"abandoned":%d,"archived":%d,"opened":%.0f,'
    .. '"closed":%.0f,"expired":%.0f},"devices":%d,"users":%d,"workers":%d%s}',
    held, table.concat(names, ','), held + tenures, sums.released, sums.abandoned, sums.handed_off,
    sums.returned, sums.seized, sums.cleared, tokens > 0 and sums.held_ms / tokens or 0,
    sums.turns_running,
    sums.turns_waiting, sums.turns_begun, sums.turns_abandoned, sums.turns_interrupted,
    sums['state:active'], sums['state:paused'], sums['state:abandoned'], sums['state:archived'],
    sums.opened, sums.closed,
    sums.expired, devices, users, workers,
    damaged[1] and ',"damaged":[' .. table.concat(damaged, ',') .. ']' or '')
end
