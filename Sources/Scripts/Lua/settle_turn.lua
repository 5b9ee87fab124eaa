-- TURN with settle=: the reply of a turn that has begun, once nothing more was joined to it for a
-- while. SETTLE says when to ask again; with `is_over` it is waited for no more.
-- USES: requests, idempotency, turn_records, turn_ends, turn_settling, turn_begin,
--   turn_shown
-- KEYS: the base key of each request's partition
-- ARGV: device, begun (the end of SETTLE), is_over?, waited_ms, kept_as? (TURN's req)
-- RETURNS: OK, NONE, STALE, SETTLE
return each(function(base, device, begun, is_over, waited_ms, kept_as)
  local number = string.match(begun, '^%w+ %d+ %d+ (%d+) ')
  local t = live_turn(base, device)
  if not t or t.turn ~= number or t.ticket ~= '' then return stale_turn(base, device, number) end
  if turn_settling.left(t) > 0 and is_over == '' then
    local reply = turn_settling.reply(t, begun)
    keep_lock(t)
    return reply
  end
  if t.settle ~= '' then
    begun = turn_settling.finish(t, begun)
    if kept_as ~= '' then keep_reply(base, device, kept_as, begun) end
    go_on(t)
  end
  return shown_again(base, device, begun, '', waited_ms)
end)
