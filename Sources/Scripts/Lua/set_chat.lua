-- SET of a chat: its name, and its configuration. The worker merges that: asked with `?` or the
-- SHA-1 of another configuration than there is, the reply has the one that there is (MORE).
-- USES: batch, messages, chat_records, session_changes, requests
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, chat, name (JSON) or empty, SHA-1 of the configuration that was
--   merged or empty, merged configuration, token or empty, request id or empty
-- RETURNS: OK, NONE, STALE, ERR, MORE
return each(8, function(base, i)
  local s, refusal = open_live(base, ARGV[i], ARGV[i + 1], ARGV[i + 6], 'SET')
  if not s then return refusal end
  local chat = chat_of(s, ARGV[i + 2])
  if not chat then return 'NONE' end
  local name, merged_from = ARGV[i + 3], ARGV[i + 4]
  local taken = name ~= '' and name_taken(s, name, chat)
  if taken then return taken end
  local seen, writes = call('HMGET', s.key, 'n:' .. chat, 'c:' .. chat), {}
  local config = seen[2] or 'null'
  if merged_from ~= '' then
    local hash = redis.sha1hex(config)
    if hash ~= merged_from then return 'MORE ' .. hash .. ' ' .. config end
    writes = {'c:' .. chat, ARGV[i + 5]}
  end
  if name ~= '' then
    writes[#writes + 1], writes[#writes + 2] = 'n:' .. chat, name
  end
  if #writes > 0 then
    s.rev = s.rev + 1
    call('HSET', s.key, 'rev', s.rev, 'updated', now_text, unpack(writes))
  end
  touch(s)
  return named(chat, name ~= '' and name or seen[1] or 'null'), s.id .. ' ' .. chat
end, true, named_before)
