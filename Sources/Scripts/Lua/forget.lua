-- FORGET: removes messages of a chat: those after a number, one, or all.
-- USES: batch, changes, pushes, requests, session_changes, chat_address, messages, chat_ids,
--   chat_removal
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat?, after?, seq?, token?, req?
-- RETURNS: OK, NONE, STALE, ERR

local function remove_one(log, seq)
  local place, entry = place_of_seq(log, seq)
  if not place then return 0 end
  call('LREM', log, '1', entry)
  sync_ids(log, seq)
  return 1
end

return each(function(base, device, session, chat, after, seq, token)
  local s, refusal = open_live(base, device, session, token, 'FORGET')
  if not s then return refusal end
  chat = chat_of(s, chat)
  if not chat then return 'NONE' end
  local log, removed = log_of(s, chat), nil
  local length = attempt('LLEN', log)
  local is_list = type(length) == 'number'
  local newest = is_list and is_watched(base, device) and newest_seq(log) or nil
  if after ~= '' then
    refusal = ahead(s, chat, tonumber(after))
    if refusal then return refusal end
    removed = remove_after(log, tonumber(after))
  elseif seq ~= '' then
    removed = remove_one(log, tonumber(seq))
  else
    removed = length
    call('UNLINK', log)
    sync_ids(log)
  end
  if removed ~= 0 then
    local first = seq ~= '' and tonumber(seq) or after ~= '' and tonumber(after) + 1 or 1
    push_unsaid(s, chat, first, seq ~= '' and first or newest)
  end
  -- The number of messages is not known of a key that is no list.
  if not is_list then return 'OK {"removed":null,"damaged":["removed"]}' end
  return 'OK {"removed":' .. removed .. '}'
end)
