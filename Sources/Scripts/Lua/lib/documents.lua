-- Documents: values under the caller's own keys, in a sorted set beside the session's record, in
-- the order of the keys' bytes: `<key>\0<rev> <at> <JSON>`, all with one score; a deadline stands
-- before the JSON, which never begins with a digit. A long value is in the hash `…/values` instead,
-- so that what orders and lists documents is short; `…/ttl` has the deadlines. Keys come from the
-- worker with `\0` and `\1` escaped.
-- USES: batch, clocks
-- RARELY: drop_document, gone_by, regardless
-- GIVES: document_of, find_document, value_of, drop_document, write_document, restore_documents,
--   drop_expired, reap_documents

-- So long a value stands in the entry.
local INLINE_BYTES = 1024

-- A document of its entry, whose value may be elsewhere; it has no `rev` if it is corrupt.
local function document_of(entry)
  local zero = find(entry, '%z') or #entry + 1
  local rev, at, from = string.match(entry, '^(%d+) (%d+) ()', zero + 1)
  local ends_at, behind = string.match(entry, '^(%d+) ()', from or zero)
  return {name = cut(entry, 1, zero - 1), rev = rev, at = at, ends_at = ends_at or '',
    json = from and cut(entry, behind or from) or '',
    is_over = rev and ends_at and tonumber(ends_at) <= now_ms}
end

-- The document of a key, also one that has expired; or nil.
local function find_document(key, name)
  local found = call('ZRANGEBYLEX', key .. '/docs', '[' .. name .. '\0', '(' .. name .. '\1',
    'LIMIT', '0', '1')
  return found[1] and document_of(found[1])
end

-- The JSON of a document; false if it is gone, or corrupt.
local function value_of(key, d)
  return d.json ~= '' and d.json or call('HGET', key .. '/values', d.name)
end

-- Removes what there is under a key; `d` is the document, if it was read.
local function drop_document(key, name, d)
  call('ZREMRANGEBYLEX', key .. '/docs', '[' .. name .. '\0', '(' .. name .. '\1')
  if not d or d.json == '' then call('HDEL', key .. '/values', name) end
  if not d or d.ends_at ~= '' then call('ZREM', key .. '/ttl', name) end
end

-- Gives a key with one item, which may just have been made, the time at which its session goes;
-- `size` is the command that counts its items.
local function expire_if_new(s, key, size)
  if call(size, key) == 1 and gone_by(s) then call('PEXPIREAT', key, text(gone_by(s))) end
end

-- Writes a document; `before` is what was found under its key. Times are texts, the deadline may be
-- empty.
local function write_document(s, name, rev, at, ends_at, json, before)
  local docs, values, ttl = s.key .. '/docs', s.key .. '/values', s.key .. '/ttl'
  if before then drop_document(s.key, name, before) end
  local entry = name .. '\0' .. rev .. ' ' .. at .. ' ' .. (ends_at == '' and '' or ends_at .. ' ')
  local is_long = #json > INLINE_BYTES
  call('ZADD', docs, '0', is_long and entry or entry .. json)
  if not before then expire_if_new(s, docs, 'ZCARD') end
  if is_long then
    call('HSET', values, name, json)
    expire_if_new(s, values, 'HLEN')
  end
  if ends_at == '' then return end
  call('ZADD', ttl, ends_at, name)
  expire_if_new(s, ttl, 'ZCARD')
  -- Later ones are entered when the soonest is over; those of an import once they are in place.
  if not s.is_staged and call('ZRANGE', ttl, '0', '0')[1] == name then
    regardless(call, 'ZADD', s.base .. ':due', ends_at, 'd:' .. s.device .. '/' .. s.id)
  end
end

-- Writes documents of an import, five texts each; those whose time is over are left out.
local function restore_documents(s, list)
  for n = 1, #list, 5 do
    if list[n + 3] == '' or tonumber(list[n + 3]) > now_ms then
      write_document(s, unpack(list, n, n + 4))
    end
  end
end

-- Removes documents whose time is over, at most `most`; returns the next deadline, or nil.
local function drop_expired(key, most)
  local over = call('ZRANGEBYSCORE', key .. '/ttl', '-inf', now_text, 'LIMIT', '0', most)
  for _, name in ipairs(over) do drop_document(key, name) end
  return call('ZRANGE', key .. '/ttl', '0', '0', 'WITHSCORES')[2]
end

-- Removes some of a session's documents whose time is over, and enters the next deadline.
local function reap_documents(member, address, base)
  local next_at = drop_expired(base .. ':session:' .. address, 64)
  call('ZREM', base .. ':due', member)
  if next_at then call('ZADD', base .. ':due', next_at, member) end
end
