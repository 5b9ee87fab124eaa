-- LOCK: acquires a free device's lock, or starts the TTL of its own holder again.
-- KEYS: the base key of each request's partition
-- ARGV: device, agent, ttl in ms, token or empty, request id or empty
-- RETURNS: OK, HELD, STALE
return each(5, function(base, i)
  local device, agent, ttl, token = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local seen = call('HGET', base .. ':locks', device)
  local reply = again(base, device, seen, agent, ttl, token)
  if reply then return reply end
  local record, holder, current, acquired, ends_at = live(base, device, seen)
  if not record then
    if token ~= '' then return 'STALE {"agent":null}' end
    local fresh = grant(base, device, agent, ttl)
    return granted(agent, fresh, ttl, now_text, 'false}')
  end
  if holder ~= agent then return held_by(holder, ends_at) end
  if token ~= '' and token ~= current then return stale(holder, ends_at) end
  extend(base, device, record, ends_at, ttl)
  return granted(agent, current, ttl, acquired, 'true}')
end, true)
