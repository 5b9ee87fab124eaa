-- How the index of a chat by a member of its messages is made: see chat_ids.
-- USES: batch, messages, json_members, clocks, sealed
-- GIVES: TWICE, id_of, note, build, build_sealed
local TWICE, BUILD_STEP = '=', 32

-- A value that is a string or a number, as it stands in the index; nil for others.
local function id_of(json, member)
  local value = member_of(json, member)
  if not value or not find(value, '^["%-%d]') then return nil end
  return #value > 64 and 'h' .. redis.sha1hex(value) or value
end

local function note(ids, seq, id)
  if id and id ~= '' and call('ZADD', ids, seq, id) == 0 then call('ZADD', ids, '0', TWICE) end
end

local function begin_index(s, ids, ...)
  call('UNLINK', ids)
  call('ZADD', ids, ...)
  if gone_by(s) then call('PEXPIREAT', ids, text(gone_by(s))) end
end

-- Makes the index from the messages of a chat up to a number, a few at a time. Returns a refusal,
-- or nil.
local function build(s, log, member, last)
  local ids, place, list = log .. '/ids', 0, nil
  begin_index(s, ids, '0', '')
  repeat
    list = call('LRANGE', log, text(place), text(place + BUILD_STEP - 1))
    for n = 1, #list do
      local seq, json = string.match(list[n], '^(%d+),"at":%d+,"message":(.*)}$')
      if seq and is_sealed(json) then
        call('UNLINK', ids)
        return 'ERR illegal_state id=: messages of this chat are sealed, and this worker has no '
          .. 'keys (--seal-keys) to compare them by'
      end
      if seq and tonumber(seq) <= last then note(ids, seq, id_of(json, member)) end
    end
    place = place + BUILD_STEP
  until #list < BUILD_STEP
end

-- A word that is another one after each change of the session or of the chat's messages; `-` if one
-- within this millisecond would have the same.
local function stamp_of_chat(s, chat)
  local v = call('HMGET', s.key, 'rev', 'active', 'q:' .. text(chat), 'd:' .. text(chat))
  if v[2] == now_text then return '-' end
  return string.format('%s.%s.%s.%s.%s', v[1] or '', v[2] or '', v[3] or '', v[4] or '',
    text(call('LLEN', log_of(s, chat))))
end

-- The same from what the worker has made of the messages: the chat's stamp, then the number and the
-- id of each. Without it, or if the chat was changed since, what asks for it.
local function build_sealed(s, chat, last, key, index)
  local log = log_of(s, chat)
  local is_empty = call('LLEN', log) == 0
  local stamp = not is_empty and stamp_of_chat(s, chat)
  if not is_empty and (not index or stamp ~= index[1]) then
    return 'MORE ' .. s.id .. ' ' .. text(chat) .. ' ' .. stamp
  end
  begin_index(s, log .. '/ids', '-1', '', '0', '~' .. key)
  for n = 2, index and #index or 0, 2 do
    if tonumber(index[n]) <= last then note(log .. '/ids', index[n], index[n + 1]) end
  end
end
