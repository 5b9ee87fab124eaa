-- TAKE: documents by their keys. It stops where the reply would grow too large.
-- USES: requests, documents, document_pages, session_changes
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, names, bytes_max
-- RETURNS: OK, NONE, ERR
return each(function(base, device, session, names, bytes_max)
  local key = key_of_session(base, device, session)
  if not key then return 'NONE' end
  local reply, size = {'documents', 'yes', ''}, 0
  for _, name in ipairs(parts(names)) do
    local d = find_document(key, name)
    size = size + add_document(reply, key, d and not d.is_over and d or nil, true)
    if size > tonumber(bytes_max) then
      return 'ERR too_large the documents have more than ' .. bytes_max
        .. ' bytes: ask for fewer keys at once'
    end
  end
  return reply, nil, size
end)
