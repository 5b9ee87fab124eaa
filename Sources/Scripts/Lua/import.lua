-- IMPORT: makes a session as it was exported, or puts it in the place of one.
-- KEYS: the base key of each request's partition
-- ARGV: device, session, replace (yes or empty), fields of the record, messages (four parts for
--   each: chat and number and time and JSON), token or empty, request id or empty
-- RETURNS: OK, STALE, ERR
return each(7, function(base, i)
  local device, id, token = ARGV[i], ARGV[i + 1], ARGV[i + 5]
  local key, fields, v = base .. ':session:' .. device .. '/' .. id, parts(ARGV[i + 3]), {}
  for n = 1, #fields, 2 do v[fields[n]] = fields[n + 1] end
  local old = load(base, device, id)
  if old and ARGV[i + 2] == '' then
    return 'ERR illegal_state IMPORT: the session is there already; replace=yes overwrites it'
  end
  if old then
    settle(old)
    local refusal = fence(old, token)
    if refusal then return refusal end
  elseif token ~= '' and not is_current(base, device, token) then
    return 'STALE {"rev":0}'
  else
    sweep_up_ghost(base, device, id)
  end
  local keep = string.match(v.clocks, '^%d+ %d+ %d+ %d+ (%d+)')
  if not LIVE[v.state] and v.state ~= 'abandoned' and v.since + keep <= now_ms then
    return 'ERR illegal_state IMPORT: the session was kept until '
      .. string.format('%.0f', v.since + keep)
  end
  local was_live = old and LIVE[old.state]
  local full = LIVE[v.state] and not was_live and device_full(base, device)
  if full then return full end
  if old then
    for chat = 1, old.chats do call('DEL', log_of(old, chat)) end
    call('DEL', key)
    call('ZREM', base .. ':due', due_member(old))
    count(base, 'state:' .. old.state, -1)
    owe_all(old)
  end
  for n = 1, #fields, 400 do
    call('HSET', key, unpack(fields, n, math.min(n + 399, #fields)))
  end
  local s, messages = load(base, device, id), parts(ARGV[i + 4])
  for n = 1, #messages, 4 do
    call('XADD', log_of(s, messages[n]), messages[n + 1] .. '-0', 'a', messages[n + 2], 'm',
      messages[n + 3])
  end
  call('ZADD', base .. ':sessions', 0, device .. '/' .. id)
  local _, current = device_line(base, device)
  add_live(base, device, (LIVE[s.state] and 1 or 0) - (was_live and 1 or 0), current or id)
  count(base, 'state:' .. s.state, 1)
  set_ttl(s, gone_by(s))
  if not old then
    count(base, 'opened', 1)
    announce(s, 'opened', now_ms)
  end
  index(s)
  owe_all(s)
  return 'OK ' .. record(s)
end, true)
