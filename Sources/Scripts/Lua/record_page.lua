-- A part of a session that is too large for one reply: fields, messages of a chat, or documents;
-- and at last what else there is of it, for GET (`record`) and for EXPORT (`export`). `from` is
-- where a part goes on, as the one before it said: empty at the beginning; of a record what else
-- its reply says, of an export how many bytes it may have, and `yes` if sealed values are shown. A
-- part is a list: `part`, the stamp, where to go on or empty, 1 if the key is of another type else
-- 0, and its items: of a field name and value, of a document five values, of a chat its entries.
-- MORE if the session was changed since the stamp, or may be changed without a new one; NONE if it
-- is not for the users, who stand behind it.
-- USES: requests, session_find, session_json, session_fields, session_parts, look_stamps
-- KEYS: the base key of each request's partition
-- ARGV: device, session, stamp?, part, from?, fields?
-- RETURNS: OK, NONE, MORE

return each(function(base, device, session, stamp, part, from, fields)
  local id, key, _, guests = find_session(base, device, session)
  if not id then return 'NONE' end
  local now = session_stamp(key)
  if not now then return 'NONE' end
  if now ~= stamp and (stamp ~= '' or is_fresh(key)) then return 'MORE changed' end
  if part == 'record' then
    return shown(device, id, key, without_fields(key), from, nil, guests)
  end
  if part == 'export' then
    local flat = without_fields(key)
    if not flat.err then survey(flat, guests) end
    local most, shows_sealed = string.match(from, '^(%d+) ?(.*)$')
    return {'export', device, id, not flat.err and flat, 0, 0, tonumber(most), shows_sealed},
      nil, 0
  end
  local reply = {'part', now, '', 0}
  local next_from, size = put_part[part](reply, key, from, fields)
  reply[3] = next_from
  return reply, nil, size or 0
end)
