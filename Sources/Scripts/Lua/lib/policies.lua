-- A session's policy, as its record keeps it: the name, then the most live sessions of a device
-- and of a user, chats, and messages of a chat (0: the server's own), then what a full chat does
-- (`trim` or `refuse`), and what happens at a limit of live sessions (`refuse` or `evict`).
-- USES: batch
-- GIVES: policy_of, stored_policy

local NO_POLICY = {sessions = 0, users = 0, chats = 0, messages = 0, full = 'trim'}

-- The limits of a line; of none, or a corrupt one, the server's apply.
local function policy_of(line)
  if not line or line == '' then return NO_POLICY end
  local sessions, users, chats, messages, full, at_most = string.match(line,
    '^%S+ (%d+) (%d+) (%d+) (%d+) (%l+) (%l+)$')
  if not sessions then return NO_POLICY end
  return {sessions = tonumber(sessions), users = tonumber(users), chats = tonumber(chats),
    messages = tonumber(messages), full = full, evicts = at_most == 'evict'}
end

-- That of a session, read from its record.
local function stored_policy(s) return policy_of(call('HGET', s.key, 'policy')) end
