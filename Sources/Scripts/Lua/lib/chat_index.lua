-- How the index of a chat by a member of its messages is made: see chat_ids.
-- USES: batch, messages, json_members, clocks
-- GIVES: TWICE, id_of, note_all, begin_index, build_sealed
local TWICE = '='

-- A value that is a string or a number, as it stands in the index; nil for others.
local function id_of(json, member)
  local value = member_of(json, member)
  if not value or not find(value, '^["%-%d]') then return nil end
  return #value > 64 and 'h' .. redis.sha1hex(value) or value
end

-- Enters ids, each behind its message's number; of one that is there already the index knows the
-- newer message only.
local function note_all(ids, list)
  for n = 1, #list, 1000 do
    local last = math.min(n + 999, #list)
    if call('ZADD', ids, unpack(list, n, last)) < (last - n + 1) / 2 then
      call('ZADD', ids, '0', TWICE)
    end
  end
end

local function begin_index(s, ids, ...)
  call('UNLINK', ids)
  call('ZADD', ids, ...)
  if gone_by(s) then call('PEXPIREAT', ids, text(gone_by(s))) end
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
  local found = {}
  for n = 2, index and #index or 0, 2 do
    if tonumber(index[n]) <= last and index[n + 1] ~= '' then
      found[#found + 1], found[#found + 2] = index[n], index[n + 1]
    end
  end
  note_all(log .. '/ids', found)
end
