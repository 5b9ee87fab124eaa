-- GET: a session's record, unless it has the revision that its caller has seen. Reading is not
-- activity and changes nothing.
-- USES: requests, revisions, session_json
-- RARELY: has_revision
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, seen_rev?
-- RETURNS: OK, NONE, LARGE
return each(function(base, device, session, seen_rev)
  if seen_rev ~= '' and has_revision(base, device, session, seen_rev) then
    return 'OK {"unchanged":true}'
  end
  return show(base, device, session)
end)
