-- The verb KEYS: the documents of a session in the order of their keys, from one bound to another
-- as ZRANGEBYLEX takes them. A page ends when it has grown large.
-- USES: batch, requests, documents, document_pages
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, low, high, is_newest?, has_values?, limit
-- RETURNS: OK, NONE
local KEYS_STEP, LOOKED_AT_MAX = 32, 10000
return each(function(base, device, session, low, high, is_newest, has_values, limit)
  local key = key_of_session(base, device, session)
  if not key then return 'NONE' end
  limit = tonumber(limit)
  local command = is_newest ~= '' and 'ZREVRANGEBYLEX' or 'ZRANGEBYLEX'
  local reply, shown, size, looked_at, list = {'page', has_values, ''}, 0, 0, 0, nil
  repeat
    local step = math.min(KEYS_STEP, limit + 1 - shown)
    list = is_newest ~= '' and call(command, key .. '/docs', high, low, 'LIMIT', '0', step)
      or call(command, key .. '/docs', low, high, 'LIMIT', '0', step)
    for _, entry in ipairs(list) do
      local d = document_of(entry)
      looked_at = looked_at + 1
      if shown == limit or size >= PAGE_BYTES or looked_at > LOOKED_AT_MAX then
        return reply, nil, size
      end
      -- The page goes on behind this one; what has expired is not shown.
      reply[3] = d.name
      if not d.is_over then
        shown, size = shown + 1, size + add_document(reply, key, d, has_values ~= '')
      end
    end
    local last = list[#list]
    if last and is_newest ~= '' then high = '(' .. last elseif last then low = '(' .. last end
  until #list < step
  reply[3] = ''
  return reply, nil, size
end)
