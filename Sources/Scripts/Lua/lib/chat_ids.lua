-- The index of a chat by a member of its messages, made at the first `SAY id=`: a sorted set beside
-- the chat, of the JSON text of each value and the number of its message. `''` is always in it; `=`
-- while two messages of the chat may have one value: then it is made anew after a removal, as it
-- knows the newer one only.
-- USES: batch, messages, json_members, clocks
-- GIVES: without_known, note_ids, sync_ids
local TWICE, BUILD_STEP = '=', 32

-- A value that is a string or a number, as it stands in the index; nil for others.
local function id_of(json, member)
  local value = member_of(json, member)
  if not value or not find(value, '^["%-%d]') then return nil end
  return #value > 64 and 'h' .. redis.sha1hex(value) or value
end

local function note(ids, seq, json, member)
  local id = id_of(json, member)
  if id and call('ZADD', ids, seq, id) == 0 then call('ZADD', ids, '0', TWICE) end
end

-- Makes the index from the messages of a chat up to a number, a few at a time.
local function build(s, log, member, last)
  local ids, place, list = log .. '/ids', 0, nil
  call('UNLINK', ids)
  call('ZADD', ids, '0', '')
  if gone_by(s) then call('PEXPIREAT', ids, text(gone_by(s))) end
  repeat
    list = call('LRANGE', log, text(place), text(place + BUILD_STEP - 1))
    for n = 1, #list do
      local seq, json = string.match(list[n], '^(%d+),"at":%d+,"message":(.*)}$')
      if seq and tonumber(seq) <= last then note(ids, seq, json, member) end
    end
    place = place + BUILD_STEP
  until #list < BUILD_STEP
end

-- The messages of a request, each behind whose it is, whose value of a member is not in the chat
-- yet, and how many others there are; or nil and a refusal. `indexed` is the member by which the
-- chat is indexed, if it is, and `line` has its limits: one that is indexed has some, so that SAY
-- need not ask for both. What is behind the number `after` does not count.
local function without_known(s, chat, messages, member, indexed, line, after)
  if indexed and indexed ~= member then
    return nil, 'ERR bad_request id=: this chat is indexed by another member'
  end
  local log, fresh, known, seen = log_of(s, chat), {}, 0, {}
  local ids, last = log .. '/ids', after or math.huge
  local members = {'i:' .. text(chat), member, 'o:' .. text(chat), line or '0 -'}
  if not indexed then call('HSET', s.key, unpack(members)) end
  if not indexed or not attempt('ZSCORE', ids, '') or after and call('ZSCORE', ids, TWICE) then
    build(s, log, member, last)
  end
  for n = 1, #messages, 2 do
    local id = id_of(messages[n + 1], member)
    local seq = id and call('ZSCORE', ids, id)
    if seq and tonumber(seq) <= last or id and seen[id] then
      known = known + 1
    else
      fresh[#fresh + 1], fresh[#fresh + 2] = messages[n], messages[n + 1]
      if id then seen[id] = true end
    end
  end
  return fresh, known
end

-- Enters messages, each behind whose it is; the first one's number is `seq`. An index that is to be
-- made anew stays away.
local function note_ids(log, seq, messages, member)
  if not attempt('ZSCORE', log .. '/ids', '') then return end
  for n = 2, #messages, 2 do note(log .. '/ids', text(seq + n / 2 - 1), messages[n], member) end
end

-- Removes what the chat has not any more: the numbers before its oldest message and behind its
-- newest one, and `seq`.
local function sync_ids(log, seq)
  local ids = log .. '/ids'
  if attempt('ZSCORE', ids, TWICE) then return call('UNLINK', ids) end
  if not call('ZSCORE', ids, '') then return end
  local newest = newest_seq(log)
  if seq then call('ZREMRANGEBYSCORE', ids, text(seq), text(seq)) end
  call('ZREMRANGEBYSCORE', ids, '(' .. text(newest), '+inf')
  if newest > 0 then call('ZREMRANGEBYSCORE', ids, '1', '(' .. text(seq_at(log, 0))) end
end
