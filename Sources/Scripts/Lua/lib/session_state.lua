-- The part of a session's record that decides its state.
-- USES: numbers, session_index
-- RARELY: corrupt, chat_numbers
-- GIVES: session_of

-- The part that decides a session's state, from the members of its record as they are stored.
local function session_of(base, device, id, key, state, rev, clocks, active, created, born, since,
    warned, chat, chats, fenced, links)
  local current, list, last = tonumber(chat or 1), {1}, 1
  if chats then list, last = chat_numbers(chats) end
  local used, made = active and tonumber(active), created and tonumber(created)
  local lives, stands = born and tonumber(born) or not born and made,
    since and tonumber(since) or not since and made
  local n, lengths = rev and tonumber(rev), clocks_of(clocks or '')
  if not LIVE[state] and not KEPT[state] then corrupt('state') end
  if not lengths then corrupt('clocks') end
  if not (used and made and lives and stands) then corrupt('times') end
  if not n then corrupt('rev') end
  if not (current and list) then corrupt('chats') end
  -- Values that Lua does not count by: one of them is not a number, or infinite, or below 0, or no
  -- whole one: a warning is kept as whole ms, and would be due again for ever.
  if not (used + made + lives + stands + n + current < 9007199254740992)
    or used < 0 or made < 0 or lives < 0 or stands < 0 or n < 0 or current < 0
    or used % 1 + made % 1 + lives % 1 + stands % 1 + n % 1 + current % 1 > 0 then
    corrupt('numbers')
  end
  return {base = base, device = device, id = id, key = key, state = state, rev = n,
    clocks = lengths, active = used, created = made, born = lives, since = stands,
    warned = warned or '0 0', chat = current, chats = list, last_chat = last,
    fenced = fenced == 'yes', links = links or ''}
end
