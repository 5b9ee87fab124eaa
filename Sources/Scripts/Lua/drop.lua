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

-- Removes documents by their entries, 1,000 at most.
local function drop_entries(key, entries)
  local names = {}
  for n = 1, #entries do names[n] = document_of(entries[n]).name end
  if #names == 0 then return end
  call('ZREM', key .. '/docs', unpack(entries))
  call('HDEL', key .. '/values', unpack(names))
  call('ZREM', key .. '/ttl', unpack(names))
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
    for _, entry in ipairs(list) do
      removed = removed + (document_of(entry).is_over and 0 or 1)
    end
    drop_entries(s.key, list)
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
