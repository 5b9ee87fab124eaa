-- Changes: what is published for watchers of a device in the step that makes the change, and kept
-- nowhere. `watched` has the devices that workers watch, or `*` for all of the partition, each with
-- the time until which they do. Nothing is published for other devices.
-- USES: batch, session_users
-- RARELY: users_in
-- GIVES: is_still, is_watched, push

-- Whether anything is watched in a partition, by its base key; in this call.
local partitions, partitions_in = {}, 0

-- Whether nothing is watched in a partition, and none of these keys is there: usually so, and one
-- command where each of them would take one.
local function is_still(base, ...)
  if attempt('EXISTS', base .. ':watched', ...) ~= 0 then return false end
  if partitions_in ~= call_number then partitions_in, partitions = call_number, {} end
  partitions[base] = false
  return true
end

-- Whether the partition is watched, and whether the device is.
local function watches_of(base, device)
  if partitions_in ~= call_number then partitions_in, partitions = call_number, {} end
  if partitions[base] == nil then
    partitions[base] = attempt('EXISTS', base .. ':watched') ~= 0
  end
  if not partitions[base] then return false, false end
  local seen = attempt('ZMSCORE', base .. ':watched', '*', device)
  -- A key of another type says nothing: no watcher is to miss a change.
  if seen.err then return true, true end
  return tonumber(seen[1] or 0) > now_ms, tonumber(seen[2] or 0) > now_ms
end

local function is_watched(base, device)
  local all, one = watches_of(base, device)
  return all or one
end

-- Publishes a change, of a session's chat where these are given. `form` and what follows it are the
-- JSON of its other members, each with a comma before it, as for string.format. The message has
-- its type, device, session, chat and the session's users in front, for those that select.
local function push(base, device, kind, id, chat, form, ...)
  local all, one = watches_of(base, device)
  if not (all or one) then return end
  local place, users = chat and text(chat), ''
  if id then
    local links = attempt('HGET', base .. ':session:' .. device .. '/' .. id, 'links')
    users = type(links) == 'string' and users_in(links) or ''
  end
  local message = table.concat({kind, device, id or '-', place or '-', users ~= '' and users or '-',
    '"at":' .. now_text}, ' ')
    .. (id and ',"session":"' .. id .. '"' or '') .. (place and ',"chat":' .. place or '')
    .. string.format(form, ...)
  if all then regardless(call, 'PUBLISH', base .. ':changes', message) end
  if one then regardless(call, 'PUBLISH', base .. ':changes:' .. device, message) end
end
