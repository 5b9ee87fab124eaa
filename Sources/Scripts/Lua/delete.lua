-- DELETE: removes a session, with its chats and messages; one whose record is corrupt, too.
-- USES: batch, ledger, requests, session_index, links, clocks, cleanup, session_changes, removal
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, token?, req?
-- RETURNS: OK, NONE, STALE
return each(function(base, device, session, token)
  local ok, s, refusal = pcall(open_for_change, base, device, session, token)
  if not ok then
    if not is_corrupt(s) then error(s, 0) end
    return remove_corrupt(base, device, session, token)
  end
  if not s then return refusal end
  announce_deleted(s)
  if LIVE[s.state] then
    count_chats(base, #s.chats, -1)
    count_live(s, -1)
  end
  call('UNLINK', unpack(keys_of(s)))
  enqueue_links(s, s.links)
  remove_entries(base, s.device, s.id, s.state)
  return 'OK'
end)
