-- TAKE: documents by their keys. Where they are too large for one reply, or too many for one call
-- unless `is_whole`: MORE, with the session and its stamp (`-` if a change within this millisecond
-- would have the same). With `stamp` as many as one may have, the first of which is that of the
-- place `skipped` among all that are asked for; MORE if the session was changed since, or one of
-- the documents has expired.
-- USES: batch, requests, documents, document_pages, session_changes, look_stamps
-- RARELY: is_fresh, session_stamp
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, names, skipped?, stamp?, is_whole?
-- RETURNS: OK, NONE, MORE
local NAMES_MAX = 200

-- The stamp ends with the time of the snapshot.
local function stamped(base, device, key)
  local id = cut(key, #base + #':session:' + #device + 2)
  return 'MORE ' .. id .. ' ' .. (is_fresh(key) and '-' or session_stamp(key) .. '.' .. now_text)
end

return each(function(base, device, session, names, skipped, stamp, is_whole)
  local key, list = key_of_session(base, device, session), parts(names)
  if not key then return 'NONE' end
  local seen, at_ms = string.match(stamp, '^(.*)%.(%d+)$')
  if stamp ~= '' and seen ~= session_stamp(key) then return 'MORE changed' end
  if stamp == '' and is_whole == '' and #list > NAMES_MAX then return stamped(base, device, key) end
  local reply, size = {'documents', 'yes', skipped}, 0
  for _, name in ipairs(list) do
    if size >= PAGE_BYTES and stamp ~= '' then break end
    if size >= PAGE_BYTES then return stamped(base, device, key) end
    local d = find_document(key, name)
    local is_over = d and d.is_over
    if is_over and at_ms and tonumber(d.ends_at) > tonumber(at_ms) then return 'MORE changed' end
    size = size + add_document(reply, key, not is_over and d or nil, true)
  end
  return reply, nil, size
end)
