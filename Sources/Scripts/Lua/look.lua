-- GET with some of the fields, or with the newest messages of the current chat in the same
-- snapshot. `fields` are their names as JSON, parts, or `none`.
-- USES: batch, requests, session_json, session_changes, turn_messages
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, fields?, last?, seen_rev?
-- RETURNS: OK, NONE

-- The members of a record, names and values in turn, with those of the fields that are asked for.
local function only_fields(flat, fields)
  if fields == '' or flat.err then return flat end
  local wanted, kept = {}, {}
  for _, name in ipairs(fields == 'none' and {} or parts(fields)) do wanted['f:' .. name] = true end
  for n = 1, #flat, 2 do
    if cut(flat[n], 1, 2) ~= 'f:' or wanted[flat[n]] then
      kept[#kept + 1], kept[#kept + 2] = flat[n], flat[n + 1]
    end
  end
  return kept
end

-- A member of the reply with the newest messages; null if the chat's key is of another type.
local function recent(key, flat, last)
  if last == '' then return nil end
  local chat, entries = '1', {}
  for n = 1, #flat, 2 do if flat[n] == 'chat' then chat = flat[n + 1] end end
  if chat ~= '0' then
    local ok
    ok, entries = pcall(newest_entries, key .. '/' .. chat, tonumber(last))
    if not ok then return ',"recent":null' end
  end
  for n = 1, #entries do entries[n] = '{"seq":' .. entries[n] end
  return ',"recent":[' .. table.concat(entries, ',') .. ']'
end

return each(function(base, device, session, fields, last, seen_rev)
  if has_revision(base, device, session, seen_rev) then return 'OK {"unchanged":true}' end
  local found, key, flat = find_members(base, device, session)
  if not found then return 'NONE' end
  local rest = recent(key, flat, last)
  local row, _, size = shown(device, found, key, only_fields(flat, fields), rest)
  return row, nil, size + #(rest or '')
end)
