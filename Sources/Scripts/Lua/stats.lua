-- STATS: the figures of the whole fleet.
-- USES: nothing
-- KEYS: the base keys of all partitions
-- ARGV: how many workers live
-- RETURNS: OK

return function(KEYS, ARGV)
  local sums = {released = 0, abandoned = 0, handed_off = 0, seized = 0, cleared = 0, held_ms = 0,
    ['state:active'] = 0, ['state:paused'] = 0, ['state:abandoned'] = 0, ['state:archived'] = 0,
    opened = 0, closed = 0, expired = 0}
  local held, devices, users, by_agent, names = 0, 0, 0, {}, {}
  for _, base in ipairs(KEYS) do
    devices = devices + redis.call('HLEN', base .. ':devices')
    users = users + redis.call('SCARD', base .. ':users')
    local ledger = redis.call('HGETALL', base .. ':ledger')
    for i = 1, #ledger, 2 do
      local name, value = ledger[i], ledger[i + 1]
      local agent = string.match(name, '^held:(.+)$')
      if sums[name] then
        sums[name] = sums[name] + value
      elseif agent then
        held = held + value
        if not by_agent[agent] then names[#names + 1] = agent end
        by_agent[agent] = (by_agent[agent] or 0) + value
      end
    end
  end
  table.sort(names)
  for i, agent in ipairs(names) do names[i] = string.format('"%s":%d', agent, by_agent[agent]) end
  -- A lock's tenure begins when it is free and is taken, and ends when it is free again: passing
  -- it on ends one token and begins another.
  local tenures = sums.released + sums.abandoned + sums.cleared
  local tokens = tenures + sums.handed_off + sums.seized
  return string.format('OK {"locks":{"held":%d,"by_agent":{%s},"acquired":%.0f,"released":%.0f,'
    .. '"abandoned":%.0f,"handed_off":%.0f,"seized":%.0f,"cleared":%.0f,"held_ms_mean":%.0f},'
    .. '"sessions":{"active":%d,"paused":%d,"abandoned":%d,"archived":%d,"opened":%.0f,'
    .. '"closed":%.0f,"expired":%.0f},"devices":%d,"users":%d,"workers":%d}',
    held, table.concat(names, ','), held + tenures, sums.released, sums.abandoned, sums.handed_off,
    sums.seized, sums.cleared, tokens > 0 and sums.held_ms / tokens or 0, sums['state:active'],
    sums['state:paused'], sums['state:abandoned'], sums['state:archived'], sums.opened, sums.closed,
    sums.expired, devices, users, ARGV[1])
end
