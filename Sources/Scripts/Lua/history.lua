-- HISTORY: messages of a chat, oldest first: those after the number `after`, before the number
-- `before`, from the time `since` on, or the last ones; `limit` at most, and of one role if that is
-- given.
-- USES: batch, requests, chat_address, messages, chat_json, chat_pages, chat_search, numbers
-- RARELY: place_after, newest_seq, whole, no_list, search_chat, place_since
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, chat?, after?, before?, since?, role?, limit
-- RETURNS: OK, NONE, STALE

-- The messages after or before a number, or from a time on.
local function from(s, chat, log, after, before, since, role, limit, is_guess)
  local length = attempt('LLEN', log)
  if type(length) ~= 'number' then return no_list(is_guess) end
  local first, latest = length > 0 and seq_at(log, 0), length > 0 and seq_at(log, length - 1)
  -- If the latest number is corrupt in the record, the newest message's counts.
  local seen = attempt('HMGET', s.key, 'q:' .. text(chat), 'd:' .. text(chat))
  local last = whole(seen.err and '' or seen[1] or 0) or latest or 0
  if (after or before or 0) > last then return 'STALE {"seq":' .. text(last) .. '}' end
  local dropped = whole(seen[2] or 0) or 0
  local entries, bytes, more, ended, search, is_lost
  if after and role == '' then
    entries, bytes, more = read_entries(log, place_after(log, after), limit)
    if #entries > limit then more, entries[#entries] = true, nil end
    is_lost = after < dropped
  elseif after then
    entries, bytes, more, ended, search = search_chat(log, place_after(log, after), false, limit,
      role)
    is_lost = after < dropped
  elseif since then
    local place = place_since(log, since)
    entries, bytes, more, ended, search = search_chat(log, place, false, limit, role)
    -- If the oldest one belongs to them, so may those that went before it.
    is_lost = dropped > 0 and place == 0
  else
    local place = before and place_after(log, before - 1) or length
    entries, bytes, more, ended, search = search_chat(log, place, true, limit, role)
  end
  return shown_page(entries, 1, false, more, is_guess, first, latest, is_lost, bytes, ended,
    search)
end

-- The newest messages.
local function newest(log, limit, is_guess)
  local entries, bytes, more = read_entries(log, nil, limit)
  if entries.err then return no_list(is_guess) end
  local count = #entries
  local skipped, first, latest = count > limit, false, false
  more = more or skipped
  -- What the entries show is not read again.
  if count > 0 then
    first = not more and seq_of(entries[1]) or seq_at(log, 0)
    latest = seq_of(entries[count]) or newest_seq(log)
  end
  return shown_page(entries, 1, skipped, more, is_guess, first, latest, false, bytes)
end

return each(function(base, device, session, chat, after, before, since, role, limit)
  local s, refusal = for_chat(base, device, session)
  if not s then return refusal end
  chat = chat_of(s, chat)
  if not chat then return 'NONE' end
  limit = tonumber(limit)
  local log, is_guess = log_of(s, chat), chat == s.chat and s.is_guess
  local page, _, bytes
  if after .. before .. since .. role ~= '' then
    page, _, bytes = from(s, chat, log, tonumber(after), tonumber(before), tonumber(since), role,
      limit, is_guess)
  else
    page, _, bytes = newest(log, limit, is_guess)
  end
  return page, nil, (bytes or 0) + add_draft(page, base, device, s.id, chat)
end)
