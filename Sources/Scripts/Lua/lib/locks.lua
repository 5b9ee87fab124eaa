-- The common parts of the scripts of the lock verbs. A lock is a record, `held:<device>`, without a
-- TTL: it outlives its deadline, so that the next request knows exactly when the lock ended. A lock
-- counts while its deadline is ahead. Beside it, `lock:<device>` has a native TTL, whose end Redis
-- announces; its value means nothing, and a small number is one that Redis has already.
-- USES: batch, ledger, tokens, lock_records, lock_deadlines, lock_closings, log_quota
-- GIVES: grant, live, held_by, stale, granted

-- Makes `agent` the holder, under a token greater than all before it in this partition. `before` is
-- the record of the holder until now, or false; nil if the device was free, and it was not checked
-- yet whether the log refuses it: then nil and the reason may be the result. The note, if there is
-- one, is JSON.
local function grant(base, device, agent, ttl, before, note)
  local ledger, held = base .. ':ledger', 'held:' .. agent
  local seen = attempt('HMGET', ledger, 'token', held, 'log_full')
  local refusal = before == nil and log_refusal(base, device, seen[3] or false)
  if refusal then return nil, refusal end
  local token, ends_at = next_token(seen[1]), text(now_ms + ms_of(ttl))
  local has_note = note and note ~= ''
  if has_note then
    call('SET', note_key(base, device), note)
  elseif before and cut(before, -2) == ' +' then
    call('DEL', note_key(base, device))
  end
  regardless(call, 'HSET', ledger, 'token', token, held, counted(seen[2], 1))
  call('SET', record_key(base, device),
    make_record(ends_at, token, agent, now_text, ttl, has_note))
  watch_lock(base, device, ends_at)
  return token
end

-- The live lock of a device: its record and its parts, or nil. One that has expired is ended as
-- abandoned on the way. `record` is the record if it was read already.
local function live(base, device, record)
  record = record or fetch_record(base, device)
  if not record then return nil end
  local ends_at, token, agent, acquired, ttl = read_record(record)
  if not ends_at then corrupt_lock(base, device) end
  if is_ahead(ends_at, ttl) then
    extend(base, device, record)
    return live(base, device)
  end
  if ends_at > now_text then return record, agent, token, acquired, ends_at end
  close(base, device, 'abandoned', tonumber(ends_at), acquired, token, agent)
  free(base, device)
  return nil
end

local function held_by(agent, ends_at)
  return string.format('HELD {"agent":"%s","ttl_ms":%.0f}', agent, ends_at - now_ms)
end

local function stale(agent, ends_at)
  return string.format('STALE {"agent":"%s","ttl_ms":%.0f}', agent, ends_at - now_ms)
end

local function granted(agent, token, ttl, acquired, renewed)
  return 'OK {"agent":"' .. agent .. '","token":' .. token .. ',"ttl_ms":' .. text(ms_of(ttl))
    .. ',"acquired_at":' .. acquired .. ',"renewed":' .. renewed
end
