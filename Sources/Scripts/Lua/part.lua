-- PART: appends a piece to the draft of a turn's answer, and publishes it.
-- USES: batch, changes, requests, session_users, session_changes, chat_address, turn_records,
--   sealed
-- KEYS: the base key of each request's partition
-- ARGV: device, users?, turn, piece (JSON), req?
-- RETURNS: OK, NONE, STALE, ERR

-- Of all pieces of a turn.
local DRAFT_BYTES = 262144

local function drafted(base, device) return call('HGET', turn_key(base, device), 'drafted') end

return each(function(base, device, users, turn, piece)
  local t = running_turn(base, device, turn)
  if not t or not is_theirs(base, device, t.session, users) then
    return stale_turn(base, device, turn)
  end
  local s, refusal = open_live(base, device, t.session, 't' .. turn, 'PART')
  if not s then return refusal end
  if not chat_of(s, text(t.chat)) then return 'NONE' end
  local key, head = draft_key(base, device), turn .. ' ' .. s.id .. ' ' .. text(t.chat) .. '\n'
  local length = attempt('STRLEN', key)
  if type(length) == 'table' then
    call('DEL', key)
    length = 0
  end
  local number = length > 0 and call('HINCRBY', turn_key(base, device), 'parts', 1) or 1
  -- There is a comma between two. Of sealed ones the turn knows what they have.
  local used, size = length > 0 and length - #head - (number - 2) or 0, plain_bytes(piece)
  if size < #piece then used = length > 0 and tonumber(drafted(base, device)) or 0 end
  if used + size > DRAFT_BYTES then
    if length > 0 then call('HINCRBY', turn_key(base, device), 'parts', -1) end
    return 'ERR quota quota exceeded: ' .. used .. ' of ' .. DRAFT_BYTES
      .. ' bytes of parts of this turn, and this one has ' .. size
  end
  call('APPEND', key, (length > 0 and ',' or head) .. piece)
  if length == 0 then
    call('PEXPIREAT', key, text(t.ends_at))
    call('HSET', turn_key(base, device), 'parts', '1')
  end
  if size < #piece then call('HSET', turn_key(base, device), 'drafted', text(used + size)) end
  touch(s)
  push(base, device, 'chat.part', s.id, t.chat, ',"turn":%s,"part":%s,"payload":%s', turn,
    text(number), piece)
  return 'OK'
end)
