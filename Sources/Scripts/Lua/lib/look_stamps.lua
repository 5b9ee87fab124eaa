-- How a snapshot that is read in steps finds out that its session was changed meanwhile.
-- USES: batch, session_json
-- RARELY: chats_of
-- GIVES: current_log, stamp_of, is_fresh, first_stamp, session_stamp

-- The key of the current chat's messages; nil while there is no chat.
local function current_log(key)
  local chat = call('HGET', key, 'chat') or '1'
  return chat ~= '0' and key .. '/' .. chat or nil
end

-- A word that is another one after each change of the record or of the messages of its current
-- chat. All of these are revisions or activity, or remove messages.
local function stamp_of(key)
  local chat = call('HGET', key, 'chat') or '1'
  local v = call('HMGET', key, 'rev', 'active', 'q:' .. chat, 'd:' .. chat)
  return string.format('%s.%s.%s.%s.%s.%s', chat, v[1] or '', v[2] or '', v[3] or '', v[4] or '',
    text(call('LLEN', key .. '/' .. chat)))
end

-- Whether the session was changed in this millisecond: another change might have the same stamp.
local function is_fresh(key) return attempt('HGET', key, 'active') == now_text end

-- The stamp of a snapshot that begins now; nil if another change within this millisecond would have
-- the same.
local function first_stamp(key) return not is_fresh(key) and stamp_of(key) or nil end

-- The same as `stamp_of` for all chats and the documents; nil if there is no session. What is of
-- another type has no numbers.
local function size_text(size) return type(size) == 'number' and text(size) or '' end
local function session_stamp(key)
  if call('EXISTS', key) == 0 then return nil end
  local v = attempt('HMGET', key, 'rev', 'active', 'chats', 'chat')
  local words = {v[1] or '', v[2] or '', v[3] or '', v[4] or ''}
  for _, chat in ipairs(chats_of(v[3] or nil)) do
    local q = attempt('HMGET', key, 'q:' .. text(chat), 'd:' .. text(chat))
    words[#words + 1] = q[1] or ''
    words[#words + 1] = q[2] or ''
    words[#words + 1] = size_text(attempt('LLEN', key .. '/' .. text(chat)))
  end
  words[#words + 1] = size_text(attempt('ZCARD', key .. '/docs'))
  return (string.gsub(table.concat(words, '.'), '%s', '_'))
end
