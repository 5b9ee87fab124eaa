-- How documents are shown: their session's key, and the reply in one list: `documents` or `page`,
-- whether values are shown, the key to go on from or empty, and of each document key, revision,
-- time and value; four times false for one that is not there.
-- USES: batch, session_find, documents, sealed
-- RARELY: find_other
-- GIVES: key_of_session, add_document

-- The key of a session that is only read; or nil.
local function key_of_session(base, device, id)
  local found, key = find_session(base, device, id)
  if found and call('EXISTS', key) == 1 then return key end
  local other = find_other(base, device, id, found)
  return other and base .. ':session:' .. device .. '/' .. other
end

-- Adds a document to a reply; returns how many bytes it has.
local function add_document(reply, key, d, has_value)
  local last, value = #reply, d and has_value and value_of(key, d) or false
  if not d then
    reply[last + 1], reply[last + 2], reply[last + 3], reply[last + 4] = false, false, false, false
    return 0
  end
  reply[last + 1], reply[last + 2], reply[last + 3] = d.name, d.rev or '', d.at or ''
  reply[last + 4] = value
  return #d.name + (value and plain_bytes(value) or 0)
end
