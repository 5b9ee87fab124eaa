-- The index of a chat by a member of its messages, made at the first `SAY id=`: a sorted set beside
-- the chat, of the JSON text of each value and the number of its message. `''` is always in it; `=`
-- while two messages of the chat may have one value: then it is made anew after a removal, as it
-- knows the newer one only.
-- Where messages are sealed it has in place of each value an id that the worker makes of it: `''`
-- has the score -1 then, and `~<key>` names the key of the ids. What does not fit an index removes
-- it.
-- USES: batch, messages, sealed, chat_index
-- GIVES: without_known, note_ids, sync_ids

-- The messages of a request, each behind whose it is, whose value of a member is not in the chat
-- yet, and how many others there are; or nil and a refusal. `indexed` is the member by which the
-- chat is indexed, if it is, and `line` has its limits: one that is indexed has some, so that SAY
-- need not ask for both. What is behind the number `after` does not count. `sealed` has, if
-- messages are, the key of their ids and the id of each, and `index` is what an index can be made
-- of; the ids of the messages that are left are returned as well, in the same way.
local function without_known(s, chat, messages, member, indexed, line, after, sealed, index)
  if indexed and indexed ~= member then
    return nil, 'ERR bad_request id=: this chat is indexed by another member'
  end
  local log, fresh, known, seen = log_of(s, chat), {}, 0, {}
  local ids, last, left = log .. '/ids', after or math.huge, sealed and {sealed[1]}
  local is_there = indexed and (sealed and attempt('ZSCORE', ids, '~' .. sealed[1])
    or not sealed and attempt('ZSCORE', ids, '') == '0')
  if not is_there or after and call('ZSCORE', ids, TWICE) then
    local refusal
    if sealed then refusal = build_sealed(s, chat, last, sealed[1], index)
    else refusal = build(s, log, member, last) end
    if refusal then return nil, refusal end
  end
  local members = {'i:' .. text(chat), member, 'o:' .. text(chat), line or '0 -'}
  if not indexed then call('HSET', s.key, unpack(members)) end
  for n = 1, #messages, 2 do
    local id
    if sealed then id = sealed[(n + 3) / 2] else id = id_of(messages[n + 1], member) end
    if id == '' then id = nil end
    local seq = id and call('ZSCORE', ids, id)
    if seq and tonumber(seq) <= last or id and seen[id] then
      known = known + 1
    else
      fresh[#fresh + 1], fresh[#fresh + 2] = messages[n], messages[n + 1]
      if left then left[#left + 1] = id or '' end
      if id then seen[id] = true end
    end
  end
  return fresh, known, left
end

-- Enters messages, each behind whose it is; the first one's number is `seq`, and `sealed` has the
-- ids of sealed ones as above. An index that is to be made anew stays away.
local function note_ids(log, seq, messages, member, sealed)
  local ids = log .. '/ids'
  local kind = attempt('ZSCORE', ids, '')
  if not kind then return end
  if not sealed and kind == '-1' then return call('UNLINK', ids) end
  for n = 2, #messages, 2 do
    if not sealed and is_sealed(messages[n]) then return call('UNLINK', ids) end
    local id
    if sealed then id = sealed[n / 2 + 1] else id = id_of(messages[n], member) end
    note(ids, text(seq + n / 2 - 1), id)
  end
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
