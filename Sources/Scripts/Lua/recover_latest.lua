-- RECOVER of a device: the hinted session if it can be recovered, else the latest that can, else
-- a new one; of one user or of one thread if such is asked for. `is_elsewhere`: the hint is a
-- session of another device; `ignored` are the options that only a new one takes; what a new one is
-- made of is as for OPEN.
-- USES: session_choice, cleanup, session_changes, session_create, live_quota,
--   session_json, requests
-- RARELY: make
-- KEYS: the base key of each request's partition
-- ARGV: device, hint?, is_elsewhere?, ignored? (JSON), fleet?, reserved?, token?, NEW, req?
-- RETURNS: OK, NONE, STALE, ERR, MORE, LARGE
return each(function(base, device, hint, is_elsewhere, ignored, fleet, reserved, token, ...)
  local s, how, why = choose(base, device, hint, ...)
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
