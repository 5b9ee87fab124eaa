-- How many messages a chat may have: `o:<chat>` is the number, 0 for the policy's or the server's,
-- and what a full one does: `trim`, `refuse`, or `-` for the policy's.
-- USES: batch, messages, policies, session_members
-- RARELY: full_chat
-- GIVES: limits_of, full_chat, full_for

-- How many messages a chat keeps, by its line of limits and its session's policy, and whether it
-- refuses more when it is full.
local function limits_of(line, policy)
  local most, full = string.match(line or '', '^(%d+) (%S+)$')
  local general = policy_of(policy)
  most = tonumber(most) or 0
  if most == 0 then most = general.messages end
  if full ~= 'trim' and full ~= 'refuse' then full = general.full end
  return most > 0 and most or MESSAGES_MAX, full == 'refuse'
end

-- The refusal of messages for which a chat has no room, of those up to the number `after`; or nil.
local function full_chat(log, line, policy, count, after)
  local most, refuses = limits_of(line, policy)
  if not refuses then return nil end
  local length = after and place_after(log, after) or call('LLEN', log)
  return length + count > most and 'ERR quota quota exceeded: ' .. text(length) .. ' of '
    .. text(most) .. ' messages in this chat' or nil
end

-- The same for a chat of a session.
local function full_for(s, chat, count)
  local _, _, _, _, line, policy = chat_members(s, chat)
  if not (line or policy) then return nil end
  return full_chat(log_of(s, chat), line, policy, count)
end
