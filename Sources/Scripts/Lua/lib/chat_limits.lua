-- How many messages a chat may have: `o:<chat>` is the number, 0 for the server's own, and `trim`
-- or `refuse`, which says what a full one does.
-- USES: batch, messages
-- GIVES: limits_of, full_chat, full_for

-- How many messages a chat keeps, by its line of limits, and whether it refuses more when it is
-- full.
local function limits_of(line)
  local most, full = string.match(line or '', '^(%d+) (%l+)$')
  most = tonumber(most) or 0
  return most > 0 and most or MESSAGES_MAX, full == 'refuse'
end

-- The refusal of messages for which a chat has no room, of those up to the number `after`; or nil.
local function full_chat(log, line, count, after)
  local most, refuses = limits_of(line)
  if not refuses then return nil end
  local length = after and place_after(log, after) or call('LLEN', log)
  return length + count > most and 'ERR quota quota exceeded: ' .. text(length) .. ' of '
    .. text(most) .. ' messages in this chat' or nil
end

-- The same for a chat of a session.
local function full_for(s, chat, count)
  return full_chat(log_of(s, chat), call('HGET', s.key, 'o:' .. text(chat)), count)
end
