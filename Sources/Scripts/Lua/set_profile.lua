-- PROFILE: merges members into the profile of a link, which is `kind/ref`; parts, names and values
-- in turn. It is kept for `keep_ms` after its latest write.
-- USES: batch, requests, numbers, session_index, session_changes, merge
-- KEYS: the base key of each request's partition
-- ARGV: device (the link), members?, seen_rev?, keep_ms, req?
-- RETURNS: OK, STALE, ERR
return each(function(base, device, members, seen_rev, keep_ms)
  local key = base .. ':profile:' .. device
  local rev = whole(call('HGET', key, 'rev') or 0)
  if not rev then corrupt('rev') end
  local s, list = {key = key, rev = rev}, parts(members)
  seen_rev = tonumber(seen_rev)
  if seen_rev and seen_rev > rev then return 'STALE {"rev":' .. text(rev) .. '}' end
  local refusal = #list > 0 and merge(s, list, seen_rev)
  if refusal then return refusal end
  call('PEXPIRE', key, keep_ms)
  return 'OK {"rev":' .. text(s.rev) .. '}'
end)
