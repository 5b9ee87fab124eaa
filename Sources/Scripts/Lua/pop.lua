-- POP: removes and returns the newest message of a chat; with `count` the newest ones, as many of
-- them as a page has, oldest first. `last` is the newest one's number as the caller has seen it.
-- USES: batch, pushes, requests, session_changes, chat_address, messages, entry_steps, chat_ids
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat?, count?, last?, token?, req?
-- RETURNS: OK, NONE, STALE, ERR

-- The newest entries, oldest first, and how many bytes they have.
local function newest_of(log, count)
  local entries, bytes, longest = {}, 0, nil
  while #entries < count and bytes < PAGE_BYTES do
    local n = step_of(PAGE_BYTES - bytes, longest, count - #entries)
    local list = call('LRANGE', log, text(-#entries - n), text(-#entries - 1))
    local _
    _, longest = bytes_of(list, longest)
    for at = #list, 1, -1 do
      if bytes < PAGE_BYTES then
        bytes = bytes + #list[at]
        entries[#entries + 1] = list[at]
      end
    end
    if #list < n then break end
  end
  local oldest_first = {}
  for at = #entries, 1, -1 do oldest_first[#oldest_first + 1] = entries[at] end
  return oldest_first, bytes
end

-- What is kept of several, if there is a key for it: `several`, and each entry behind its length.
local function popped(entries, bytes)
  return {'messages', entries}, function()
    local kept = {'several'}
    for n = 1, #entries do kept[n + 1] = #entries[n] .. ' ' .. entries[n] end
    return table.concat(kept, ' ')
  end, bytes
end

return each(function(base, device, session, chat, count, last, token)
  local s, refusal = open_live(base, device, session, token, 'POP')
  if not s then return refusal end
  chat = chat_of(s, chat)
  local log = chat and log_of(s, chat)
  if not log or call('LLEN', log) == 0 then return 'NONE' end
  local newest = last ~= '' and newest_seq(log)
  if newest and newest ~= tonumber(last) then return 'STALE {"seq":' .. text(newest) .. '}' end
  if count == '' then
    newest = call('RPOP', log)
    sync_ids(log)
    push_unsaid(s, chat, seq_of(newest), seq_of(newest))
    return {'message', newest}, newest, #newest
  end
  local entries, bytes = newest_of(log, tonumber(count))
  call('LTRIM', log, '0', text(-#entries - 1))
  sync_ids(log)
  push_unsaid(s, chat, seq_of(entries[1]), seq_of(entries[#entries]))
  return popped(entries, bytes)
end, function(_, _, kept)
  if cut(kept, 1, 8) ~= 'several ' then return {'message', kept}, nil, #kept end
  local at, entries = 9, {}
  while at <= #kept do
    local space = find(kept, ' ', at, true)
    local n = space and tonumber(cut(kept, at, space - 1))
    if not n then return nil end
    entries[#entries + 1] = cut(kept, space + 1, space + n)
    at = space + n + 2
  end
  return {'messages', entries}, nil, #kept
end)
