-- Which messages of a `SAY id=` are in a chat already, by its index: see chat_ids.
-- USES: batch, messages, chat_index, chat_index_steps
-- GIVES: without_known

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
  local refusal
  if not is_there or after and call('ZSCORE', ids, TWICE) then
    if sealed then refusal = build_sealed(s, chat, last, sealed[1], index)
    else refusal = build(s, log, member, last) end
    if refusal and refusal ~= GOES_ON then return nil, refusal end
  end
  -- Whatever changes the chat from now on takes notice of the index.
  local members = {'i:' .. text(chat), member, 'o:' .. text(chat), line or '0 -'}
  if not indexed then call('HSET', s.key, unpack(members)) end
  if refusal then return nil, refusal end
  local asked, seqs = {}, {}
  for n = 1, #messages, 2 do
    local id
    if sealed then id = sealed[(n + 3) / 2] else id = id_of(messages[n + 1], member) end
    asked[#asked + 1] = id or ''
  end
  for first = 1, #asked, 1000 do
    local found = call('ZMSCORE', ids, unpack(asked, first, math.min(first + 999, #asked)))
    for n = 1, #found do seqs[first + n - 1] = found[n] end
  end
  for n = 1, #messages, 2 do
    local id, seq = asked[(n + 1) / 2], seqs[(n + 1) / 2]
    if id == '' then id = nil end
    if id and (seq and tonumber(seq) <= last or seen[id]) then
      known = known + 1
    else
      fresh[#fresh + 1], fresh[#fresh + 2] = messages[n], messages[n + 1]
      if left then left[#left + 1] = id or '' end
      if id then seen[id] = true end
    end
  end
  return fresh, known, left
end
