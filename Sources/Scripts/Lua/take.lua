-- TAKE: documents by their keys. Where they are too large for one reply: MORE, with the session and
-- its stamp (`-` if a change within this millisecond would have the same). With `stamp` as many as
-- one may have, the first of which is that of the place `skipped` among all that are asked for;
-- MORE if the session was changed since.
-- USES: batch, requests, documents, document_pages, session_changes, look_stamps
-- RARELY: is_fresh, session_stamp
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, names, skipped?, stamp?
-- RETURNS: OK, NONE, MORE
return each(function(base, device, session, names, skipped, stamp)
  local key = key_of_session(base, device, session)
  if not key then return 'NONE' end
  if stamp ~= '' and stamp ~= session_stamp(key) then return 'MORE changed' end
  local reply, size = {'documents', 'yes', skipped}, 0
  for _, name in ipairs(parts(names)) do
    if size >= PAGE_BYTES and stamp ~= '' then break end
    if size >= PAGE_BYTES then
      local id = cut(key, #base + #':session:' + #device + 2)
      return 'MORE ' .. id .. ' ' .. (is_fresh(key) and '-' or session_stamp(key))
    end
    local d = find_document(key, name)
    size = size + add_document(reply, key, d and not d.is_over and d or nil, true)
  end
  return reply, nil, size
end)
