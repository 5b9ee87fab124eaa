-- RECOVER of a device: the hinted session if it can be recovered, else the latest that can, else
-- a new one; of one user or of one thread if such is asked for. `is_elsewhere`: the hint is a
-- session of another device; `ignored` are the options that only a new one takes; what a new one is
-- made of is as for OPEN. `of_user`: the id of NEW is that of a session of the user, which was
-- `found`, or is made here unless another request has made it (`new`); ENDED if it has ended.
-- USES: session_choice, cleanup, session_changes, session_create, live_quota,
--   session_json, requests
-- RARELY: make, choose_of_user
-- KEYS: the base key of each request's partition
-- ARGV: device, hint?, is_elsewhere?, of_user?, ignored? (JSON), fleet?, reserved?, token?, NEW,
--   req?
-- RETURNS: OK, NONE, STALE, ERR, MORE, LARGE, ENDED
return each(function(base, device, hint, is_elsewhere, of_user, ignored, fleet, reserved, token,
    ...)
  local s, how, why
  if of_user ~= '' then
    s, how = choose_of_user(base, device, of_user, ...)
    if not how then return 'ENDED' end
  else
    s, how, why = choose(base, device, hint, ...)
  end
  if why == 'gone' and is_elsewhere ~= '' then why = 'elsewhere' end
  local refusal, flat
  if s then
    refusal = fence(s, token) or not_to_live(s, reserved, fleet)
    if not refusal then recover(s) end
  else
    s, refusal, flat = make(base, device, fleet, reserved, token, ...)
  end
  if refusal then return refusal end
  return record(s, ',"how":"' .. how .. '"' .. (why and ',"hint":"' .. why .. '"' or '')
    .. (how ~= 'new' and ignored ~= '' and ',"ignored":' .. ignored or ''), flat)
end, show_again)
