-- How a caller begins the lock that was granted to another one of its agent.
-- USES: batch, lock_records, lock_grants, lock_sharing, locks, log_quota
-- GIVES: share_grant

-- Begins the lock, which the other one has too when it comes. Returns the reply.
local function share_grant(base, device, record, ttl)
  local refusal = log_refusal(base, device) or lock_quota(ttl)
  if refusal then return refusal end
  local _, token, agent = read_record(record)
  lock_grants.begin(base, device, record, ttl)
  inform_sharing(base, device, agent)
  return granted(agent, token, ttl, now_text, 'true}')
end
