-- GET with some of the fields, or with the newest messages of the current chat in the same
-- snapshot; with `is_whole`, where they are too many for one reply: MORE, with what `look_page`
-- needs; else as many as the reply may have. `stamp` is that of a snapshot which is read in steps:
-- MORE if the session was changed since.
-- USES: requests, session_users, revisions, session_reads, session_json, large_sessions,
--   list_filter, turn_messages, look_stamps
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, fields?, last?, seen_rev?, is_whole?, stamp?
-- RETURNS: OK, NONE, MORE, LARGE

-- A member of the reply with the newest messages, null if the chat's key is of another type; or nil
-- if there are more than the reply may have.
local function recent(log, last, is_whole)
  if not log then return ',"recent":[]' end
  local ok, entries, has_older = pcall(newest_entries, log, last)
  if not ok then return ',"recent":null' end
  if is_whole ~= '' and has_older and #entries < last then return nil end
  for n = 1, #entries do entries[n] = '{"seq":' .. entries[n] end
  return ',"recent":[' .. table.concat(entries, ',') .. ']'
end

return each(function(base, device, session, fields, last, seen_rev, is_whole, stamp)
  if has_revision(base, device, session, seen_rev) then return 'OK {"unchanged":true}' end
  local found, key, flat, guests = find_members(base, device, session)
  if not found then return 'NONE' end
  if stamp ~= '' and stamp ~= stamp_of(key) then return 'MORE changed' end
  local rest
  if last ~= '' then
    rest = recent(current_log(key), tonumber(last), is_whole)
    if not rest then return 'MORE ' .. found .. ' ' .. (first_stamp(key) or '-') end
  end
  if not flat then return large_line(device, found, scope_of(session), fields, rest or '') end
  local row, _, size = shown(device, found, key, only_fields(flat, fields), rest, nil, guests)
  return row, nil, size + #(rest or '')
end)
