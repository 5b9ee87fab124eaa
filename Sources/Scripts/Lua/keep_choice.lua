-- Keeps under a request's idempotency key which session of a user was found for it; a retry goes
-- there again. Behind an entry may stand `new`: the session is to be made. In place of a
-- device stands the user's link. NONE if none was found, now or before.
-- USES: requests
-- KEYS: the base key of the link's partition, for each request
-- ARGV: device, entry?, req?
-- RETURNS: OK, NONE, ERR
return each(function(base, device, entry)
  return entry ~= '' and 'OK ' .. entry or 'NONE'
end, function(base, device, kept) return kept end)
