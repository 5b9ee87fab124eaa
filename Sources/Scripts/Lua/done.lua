-- DONE: applies the last changes of a turn to its own session and chat, and ends it; or gives it
-- the messages that were joined to it meanwhile, and it goes on.
-- USES: batch, requests, session_users, session_load, session_changes, chat_address, messages,
--   entry_steps, turn_records, turn_changes, turn_grants, turn_ends, turn_messages, turn_begin
-- RARELY: load, chat_of, log_of, bytes_of, stale_turn, standing, joined_entries, joined_count,
--   go_on, turn_key, turn_grants, is_theirs
-- KEYS: the base key of each request's partition
-- ARGV: device, users?, turn, seen? (the newest message's number), is_last?, messages? (each after
--   whose it is), members?, puts? (key and value in turn), drops?, req?
-- RETURNS: OK, NONE, STALE, ERR

-- A reply with messages that were joined; they may be gone when it is shown again.
local function given(t, seq, rev, rest, entries)
  local members = '"seq":' .. seq .. ',"rev":' .. rev .. rest .. ',"turn":' .. t.turn
  return {'done', members, entries}, nil, bytes_of(entries)
end

local function given_again(base, device, kept, users)
  local id, chat, turn, seq, rev, rest, seqs = string.match(kept,
    '^(%w+) (%d+) (%d+) (%w+) (%w+) ([^ ]*) ([%d ]+)$')
  if not id then return string.match(kept, '^OK {') and kept end
  local s = load(base, device, id .. users)
  if not s or not chat_of(s, chat) then return 'NONE' end
  local entries = joined_entries(log_of(s, chat), joined_seqs({joined = seqs}, 0))
  return given({turn = turn}, seq, rev, rest, entries)
end

return each(function(base, device, users, turn, seen, is_last, messages, members, puts, drops)
  local t = live_turn(base, device)
  if not t or t.turn ~= turn or t.ticket ~= ''
    or users ~= '' and not is_theirs(base, device, t.session, users) then
    return stale_turn(base, device, turn)
  end
  local newest = seen ~= '' and standing(t) or nil
  seen = tonumber(seen) or 0
  if newest and seen > (tonumber(newest) or 0) then return 'STALE {"seq":' .. newest .. '}' end
  local waiting, entries, left = joined_seqs(t, seen), {}, {}
  local goes_on = #waiting > 0 and is_last == ''
  local refusal, trimmed, seq, rev = nil, '', nil, nil
  if #messages + #members + #puts + #drops > 0 then
    refusal, trimmed, seq, rev = change_by_turn(t, parts(messages), parts(members), parts(puts),
      parts(drops), goes_on)
    if refusal then return refusal end
  else
    seq, rev = standing(t)
  end
  if goes_on then
    local key = base .. ':session:' .. device .. '/' .. t.session
    entries, left = joined_entries(log_of({key = key}, t.chat), waiting)
  end
  if #entries > 0 then
    call('HSET', turn_key(base, device), 'joined', table.concat(left, ' '))
    go_on(t)
    if #left > 0 then trimmed = trimmed .. ',"more":true' end
    local reply, _, size = given(t, seq, rev, trimmed, entries)
    local kept = {t.session, text(t.chat), turn, seq, rev, trimmed,
      table.concat(waiting, ' ', 1, #waiting - #left)}
    return reply, table.concat(kept, ' '), size
  end
  local unanswered = is_last ~= '' and joined_count(t, seen)
  local is_last_one = is_queue_still(base, device)
  end_turn(t, 'done')
  if not is_last_one then turn_grants.next(base, device) end
  local joined = is_last ~= '' and ',"joined":' .. unanswered or ''
  return 'OK {"seq":' .. seq .. ',"rev":' .. rev .. trimmed .. joined .. '}'
end, given_again)
