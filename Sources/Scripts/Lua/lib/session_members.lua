-- Members of a session's record that are read with it, and written.
-- USES: batch
-- GIVES: chat_members, write_members

-- What a message in a chat changes, and what it has to keep to: the newest number, when the user's
-- unanswered message came, how many answers there were and how long those took, the chat's limits,
-- and the policy; each as it is stored. From what was read of the session, or else its record.
local function chat_members(s, chat)
  local flat, at, number = s.flat, s.at, text(chat)
  if flat then
    return flat[at['q:' .. number]], flat[at['t:' .. number]], flat[at.answers],
      flat[at.answer_ms], flat[at['o:' .. number]], flat[at.policy]
  end
  if chat == 1 and s.members then return unpack(s.members, 13, 18) end
  return unpack(call('HMGET', s.key, 'q:' .. number, 't:' .. number, 'answers', 'answer_ms',
    'o:' .. number, 'policy'), 1, 6)
end

-- Writes members of a record, names and values in turn, as texts; and to what was read of it.
local function write_members(s, ...)
  call('HSET', s.key, ...)
  local flat, at = s.flat, s.at
  if not flat then return end
  local list = {...}
  for n = 1, #list, 2 do
    local place = at[list[n]]
    if not place then
      place = #flat + 2
      flat[place - 1], at[list[n]] = list[n], place
    end
    flat[place] = list[n + 1]
  end
end
