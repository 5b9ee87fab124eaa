-- LOCKS: the held locks of a partition by their devices, behind the device `from`: device, agent,
-- acquired_at and what is left of the TTL, one after another. The whole deadline index is read, as
-- it has no order by device.
-- USES: batch, requests, lock_records, lock_deadlines
-- KEYS: the base key of each request's partition
-- ARGV: from?, agent?, limit
-- RETURNS: OK
return each(function(base, from, agent, limit)
  local devices, words = {}, {'OK'}
  for _, member in ipairs(call('ZRANGE', base .. ':due', '0', '-1')) do
    local device = cut(member, 1, 2) == 'l:' and cut(member, 3)
    if device and device > from then devices[#devices + 1] = device end
  end
  table.sort(devices)
  for _, device in ipairs(devices) do
    if #words > tonumber(limit) then break end
    local record = fetch_record(base, device)
    local ends_at, _, holder, acquired, ttl = read_record(record or '')
    if ends_at and ends_at > now_text and (agent == '' or agent == holder) then
      local left = is_ahead(ends_at, ttl) and ms_of(ttl) or ends_at - now_ms
      words[#words + 1] = device .. ' ' .. holder .. ' ' .. acquired .. ' ' .. text(left)
    end
  end
  return table.concat(words, ' ')
end)
