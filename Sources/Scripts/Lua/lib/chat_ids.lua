-- The index of a chat by a member of its messages, made at the first `SAY id=`: a sorted set beside
-- the chat, of the JSON text of each value and the number of its message. `''` is always in it; `=`
-- while two messages of the chat may have one value: then it is made anew after a removal, as it
-- knows the newer one only.
-- Where messages are sealed it has in place of each value an id that the worker makes of it: `''`
-- has the score -1 then, and `~<key>` names the key of the ids. What does not fit an index removes
-- it. One that is not whole yet has no `''`: see chat_index_steps.
-- USES: batch, messages, sealed, chat_index
-- GIVES: note_ids, trim_ids, sync_ids

-- Enters messages, each behind whose it is, but for so many `skipped` ones at their beginning; the
-- number before the first one's is `seq`, and `sealed` has the ids of sealed ones as above. An
-- index that is to be made anew stays away.
local function note_ids(log, seq, messages, skipped, member, sealed)
  local ids = log .. '/ids'
  local kind = attempt('ZSCORE', ids, '')
  if not kind then return end
  if not sealed and kind == '-1' then return call('UNLINK', ids) end
  local found = {}
  for n = 2 * skipped + 2, #messages, 2 do
    if not sealed and is_sealed(messages[n]) then return call('UNLINK', ids) end
    local id
    if sealed then id = sealed[n / 2 + 1] else id = id_of(messages[n], member) end
    if id and id ~= '' then
      found[#found + 1], found[#found + 2] = text(seq + n / 2), id
    end
  end
  note_all(ids, found)
end

-- Removes the numbers before the oldest message of a chat that has some. That fits also where two
-- messages have one value, as the older one goes first.
local function trim_ids(log)
  call('ZREMRANGEBYSCORE', log .. '/ids', '1', '(' .. text(seq_at(log, 0)))
end

-- Removes what the chat has not any more: the numbers before its oldest message and behind its
-- newest one, and `seq`.
local function sync_ids(log, seq)
  local ids = log .. '/ids'
  if attempt('ZSCORE', ids, TWICE) then return call('UNLINK', ids) end
  if call('EXISTS', ids) == 0 then return end
  -- One that is not whole does not know the message that takes its place.
  if seq and not call('ZSCORE', ids, '') then return call('UNLINK', ids) end
  local newest = newest_seq(log)
  if seq then call('ZREMRANGEBYSCORE', ids, text(seq), text(seq)) end
  call('ZREMRANGEBYSCORE', ids, '(' .. text(newest), '+inf')
  if newest > 0 then trim_ids(log) end
end
