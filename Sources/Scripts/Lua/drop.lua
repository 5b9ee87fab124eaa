-- DROP: removes documents: those of the given keys, or the first ones between two bounds as
-- ZRANGEBYLEX takes them; MORE if others are left. `before` is how many went in earlier steps.
-- USES: batch, changes, requests, session_changes, documents
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, names?, low?, high?, before, token?, req?
-- RETURNS: OK, NONE, STALE, ERR, MORE
local DROPPED_MAX = 1000

-- Removes a document; returns 1 if there was one, and its time was not over.
local function drop(key, d)
  if not d then return 0 end
  drop_document(key, d.name, d)
  return d.is_over and 0 or 1
end

-- Removes documents by their entries, 1,000 at most, which are all that are between two bounds;
-- returns of how many the time was not over.
local function drop_entries(key, entries, low, high)
  local count, long, timed = 0, {}, {}
  for n = 1, #entries do
    local d = document_of(entries[n])
    if d.json == '' then long[#long + 1] = d.name end
    if d.ends_at ~= '' then timed[#timed + 1] = d.name end
    if not d.is_over then count = count + 1 end
  end
  if #entries > 0 then call('ZREMRANGEBYLEX', key .. '/docs', low, high) end
  if #long > 0 then call('HDEL', key .. '/values', unpack(long)) end
  if #timed > 0 then call('ZREM', key .. '/ttl', unpack(timed)) end
  return count
end

return each(function(base, device, session, names, low, high, before, token)
  local s, refusal = open_live(base, device, session, token, 'DROP')
  if not s then return refusal end
  local removed, has_more = 0, false
  for _, name in ipairs(parts(names)) do
    removed = removed + drop(s.key, find_document(s.key, name))
  end
  if low ~= '' then
    local list = call('ZRANGEBYLEX', s.key .. '/docs', low, high, 'LIMIT', '0', DROPPED_MAX + 1)
    has_more = table.remove(list, DROPPED_MAX + 1)
    removed = drop_entries(s.key, list, low, has_more and '[' .. list[#list] or high)
  end
  touch(s)
  if removed > 0 then
    s.rev = s.rev + 1
    call('HSET', s.key, 'rev', text(s.rev), 'updated', now_text)
    push(base, device, 'session.changed', s.id, nil, ',"rev":%.0f,"members":["documents"]', s.rev)
  end
  removed = text(removed + before)
  return has_more and 'MORE ' .. removed or 'OK {"removed":' .. removed .. '}'
end)
