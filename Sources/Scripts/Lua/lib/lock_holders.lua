-- How an agent becomes the holder of a lock.
-- USES: batch, changes, ledger, tokens, lock_records, lock_deadlines, log_quota
-- GIVES: grant

-- Makes `agent` the holder, under a token greater than all before it in this partition. `before` is
-- the record of the holder until now, or false; nil if the device was free, and it was not checked
-- yet whether the log or a quota refuses it: then nil and the reason may be the result. The lock
-- may have a note, which is JSON, and an agent to whom it goes back, `<agent> <ttl>`.
local function grant(base, device, agent, ttl, before, note, back)
  local ledger, held = base .. ':ledger', 'held:' .. agent
  local owner = owner_of(ttl)
  local seen = attempt('HMGET', ledger, 'token', held, 'log_full', 'held_at',
    owned_field('locks:', owner))
  local refusal = before == nil
    and (log_refusal(base, device, seen[3] or false) or owner and lock_quota(ttl))
  if refusal then return nil, refusal end
  local token, ttl_ms = next_token(seen[1]), ms_of(ttl)
  local ends_at = text(now_ms + ttl_ms)
  local mark = keep_more(base, device, before, note, back)
  regardless(call, 'HSET', ledger, 'token', token, held, counted(seen[2], 1),
    'held_at', counted(seen[4], since_start(now_ms)), owned_after('locks:', owner, seen[5], 1))
  call('SET', record_key(base, device), make_record(ends_at, token, agent, now_text,
    owner and without_quota(ttl) or ttl, mark))
  watch_lock(base, device, ends_at)
  push(base, device, 'lock.acquired', nil, nil, ',"agent":"%s","ttl_ms":%.0f', agent, ttl_ms)
  return token
end
