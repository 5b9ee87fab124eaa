-- How a snapshot that is read in steps finds out that its session was changed meanwhile.
-- USES: batch
-- GIVES: current_log, stamp_of, first_stamp

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

-- The stamp of a snapshot that begins now; nil if another change within this millisecond would have
-- the same.
local function first_stamp(key)
  return call('HGET', key, 'active') ~= now_text and stamp_of(key) or nil
end
