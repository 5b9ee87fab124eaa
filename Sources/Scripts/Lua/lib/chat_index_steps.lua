-- How the index of a chat is made from its messages, in steps: see chat_ids.
-- USES: batch, messages, sealed, entry_steps, chat_index
-- GIVES: GOES_ON, build

-- The refusal that asks for another step.
local GOES_ON = 'MORE index'

-- So much of a chat is read for its index by one call: looking through it takes Redis some 3 ms.
local BUILD_BYTES, BUILD_ENTRIES = 163840, 400

-- Makes the index from the messages of a chat up to a number, by as many calls as that takes.
-- Until it is whole it has in place of `''` a mark, `>` with that number and the member, whose
-- score is the number of the message that was read last; what is appended or removed meanwhile
-- fits. Returns a refusal, which is MORE if it has to go on, or nil.
local function build(s, log, member, last)
  local ids = log .. '/ids'
  local mark = '>' .. (last == math.huge and '' or text(last)) .. ' ' .. member
  local read = attempt('ZSCORE', ids, mark)
  if type(read) ~= 'string' then
    read = '0'
    begin_index(s, ids, read, mark)
  end
  local place, room, longest, list = place_after(log, tonumber(read)), BUILD_BYTES, nil, nil
  local found, seen, stop = {}, 0, nil
  repeat
    local step = longest and step_of(room, longest, BUILD_ENTRIES - seen) or 1
    list = call('LRANGE', log, text(place), text(place + step - 1))
    local bytes
    bytes, longest = bytes_of(list, longest)
    for n = 1, #list do
      local seq, json = string.match(list[n], '^(%d+),"at":%d+,"message":(.*)}$')
      if seq and is_sealed(json) then
        call('UNLINK', ids)
        return 'ERR illegal_state id=: messages of this chat are sealed, and this worker has no '
          .. 'keys (--seal-keys) to compare them by'
      end
      local id = seq and tonumber(seq) <= last and id_of(json, member)
      if id then found[#found + 1], found[#found + 2] = seq, id end
      read = seq or read
    end
    place, room, seen = place + #list, room - bytes, seen + #list
    stop = room <= 0 or seen >= BUILD_ENTRIES
  until #list < step or stop
  note_all(ids, found)
  if stop and place < call('LLEN', log) then
    call('ZADD', ids, read, mark)
    return GOES_ON
  end
  call('ZADD', ids, '0', '')
  call('ZREM', ids, mark)
end
