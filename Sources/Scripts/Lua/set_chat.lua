-- SET of a chat: its name, and its configuration. The worker merges that: asked with `?` or the
-- SHA-1 of another configuration than there is, the reply has the one that there is (MORE).
-- USES: batch, changes, chat_address, chat_records, session_changes, requests
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat, name? (JSON), merged_from? (SHA-1 or ?), merged?, token?, req?
-- RETURNS: OK, NONE, STALE, ERR, MORE
return each(function(base, device, session, chat, name, merged_from, merged, token)
  local s, refusal = open_live(base, device, session, token, 'SET')
  if not s then return refusal end
  chat = chat_of(s, chat)
  if not chat then return 'NONE' end
  local taken = name ~= '' and name_taken(s, name, chat)
  if taken then return taken end
  local seen, writes = call('HMGET', s.key, 'n:' .. chat, 'c:' .. chat), {}
  local config = seen[2] or 'null'
  if merged_from ~= '' then
    local hash = redis.sha1hex(config)
    if hash ~= merged_from then return 'MORE ' .. hash .. ' ' .. config end
    writes = {'c:' .. chat, merged}
  end
  if name ~= '' then
    writes[#writes + 1], writes[#writes + 2] = 'n:' .. chat, name
  end
  if #writes > 0 then
    s.rev = s.rev + 1
    call('HSET', s.key, 'rev', s.rev, 'updated', now_text, unpack(writes))
    push(base, device, 'chat.changed', s.id, chat, ',"name":%s,"rev":%.0f',
      name ~= '' and name or seen[1] or 'null', s.rev)
  end
  touch(s)
  return named(chat, name ~= '' and name or seen[1] or 'null'), s.id .. ' ' .. chat
end, named_before)
