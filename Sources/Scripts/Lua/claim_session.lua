-- Claims a session that RECOVER of a user is about to make, in the user's partition: while the
-- claim lasts, all requests that would make one make this one, of the same thread (JSON) if one is
-- asked for. Gives the claimed entry, NONE if there is none and none was given. `ended`: an entry
-- that is not to be made, or has ended; it is neither claimed nor kept under the request's key any
-- more.
-- USES: batch, requests, idempotency
-- KEYS: the base key of the link's partition, for each request
-- ARGV: link, thread?, entry?, ended?, key?, length_ms
-- RETURNS: OK, NONE
return each(function(base, link, thread, entry, ended, key, length_ms)
  local claim = base .. ':claim:' .. link .. (thread ~= '' and ' ' .. thread or '')
  local known = fetch(claim)
  if ended ~= '' then
    if known == ended then call('DEL', claim); known = nil end
    if key ~= '' then forget_reply(base, link, key, 'OK ' .. ended, 'OK ' .. ended .. ' new') end
  end
  -- What was put there by other means is no entry.
  if known and not find(known, '^%w+/[^ /]+$') then known = nil end
  if not known and entry ~= '' then call('SET', claim, entry, 'PX', length_ms) end
  known = known or entry
  return known ~= '' and 'OK ' .. known or 'NONE'
end)
