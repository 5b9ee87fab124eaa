-- Where a session stands for one of its links, and when that was so, in us: what is settled in the
-- link's partition.
-- USES: batch, requests, links
-- KEYS: the base key of each request's partition
-- ARGV: device, session, kind, ref
-- RETURNS: live, kept, gone
return each(4, function(base, i)
  return standing(base, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
    .. string.format(' %.0f', now_us)
end)
