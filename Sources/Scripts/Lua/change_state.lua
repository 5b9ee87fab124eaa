-- PAUSE, RESUME, CLOSE and ARCHIVE: changes a session's state because the caller says so.
-- USES: batch, requests, session_index, transitions, cleanup, session_json, session_changes,
--   log_quota
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, verb, to, reason? (JSON), token?, req?
-- RETURNS: OK, NONE, STALE, ERR, LARGE
local FROM = {
  PAUSE = {active = true}, RESUME = {paused = true}, CLOSE = {active = true, paused = true},
  ARCHIVE = {active = true, paused = true, abandoned = true, completed = true, failed = true,
    expired = true},
}
return each(function(base, device, session, verb, to, reason, token)
  local s, refusal = open_for_change(base, device, session, token)
  if not s then return refusal end
  if s.state == to and (verb == 'CLOSE' or verb == 'ARCHIVE') then
    -- The same again changes nothing; another reason would be lost.
    local is_same = reason == '' or reason == call('HGET', s.key, 'reason')
    if not is_same then return wrong_state(s, verb) .. ', for another reason' end
    return record(s)
  end
  if not FROM[verb][s.state] then return wrong_state(s, verb) end
  local full = LIVE[to] and log_refusal(base, s.device)
  if full then return full end
  if verb == 'RESUME' then touch(s) end
  transition(s, to, now_ms, reason ~= '' and reason or 'null')
  return record(s)
end, show_again)
