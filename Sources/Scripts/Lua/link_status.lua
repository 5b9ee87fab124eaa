-- The status of a session for one of its links, and when it was read, in us: this is settled in the
-- link's partition.
-- USES: batch, requests, links
-- KEYS: the base key of each request's partition
-- ARGV: device, session, kind, ref
-- RETURNS: live, kept, gone
return each(function(base, device, session, kind, ref)
  return status_of(base, device, session, kind, ref)
    .. string.format(' %.0f', now_us)
end)
