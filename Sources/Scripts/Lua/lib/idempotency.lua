-- How a change is made at most once per idempotency key.
-- USES: batch
-- GIVES: OTHER_REQUEST, keep_reply, forget_reply, once

-- The refusal of a key that has another request.
local OTHER_REQUEST = 'conflict req= was used for another request on this device; a request needs '
  .. 'an id of its own'

-- The key of a kept reply, the fingerprint of its request, and the users to whose sessions that is
-- limited, empty for all.
local function kept_at(base, device, req)
  local id, fingerprint, users = string.match(req, '^(%S*) ?(%S*) ?(.*)$')
  return base .. ':req:' .. device .. '/' .. id, fingerprint, users
end

-- Keeps a reply, or what stands for it.
local function keep_reply(base, device, req, kept)
  local key, fingerprint = kept_at(base, device, req)
  call('SET', key, fingerprint .. ' ' .. kept, 'PX', REQ_KEEP_MS)
end

-- Forgets what is kept for a request, if it is one of these.
local function forget_reply(base, device, req, ...)
  local key, fingerprint = kept_at(base, device, req)
  local line = fetch(key)
  for _, kept in ipairs({...}) do
    if line == fingerprint .. ' ' .. kept then call('DEL', key) end
  end
end

-- `req` is the key, a space, the request's fingerprint, and where the request is limited to some
-- users' sessions a space and these: the same request again gets the first one's reply, another one
-- is refused. Only OK is kept, for nothing else has changed anything, and SETTLE and LARGE, as OK
-- is their end.
-- Where a reply is long, is no line, or shows what may change, `operate` gives as its second result
-- what is kept instead, or a function that makes it, of which `show` makes the reply anew for these
-- users, or nil if it is corrupt; the third result is how many bytes a reply has that is no line.
-- The worker checks a kept reply; one that is corrupt is an error, since the request may have been
-- applied.
local KEPT_WORDS = {OK = true, SETTLE = true, LARGE = true}
local function once(base, device, req, show, operate, ...)
  local key, fingerprint, users = kept_at(base, device, req)
  local line = fetch(key)
  if line then
    local first, kept = string.match(line, '^(%S*) (.+)$')
    if not first then return {'kept', key, ''}, nil, 0 end
    if first ~= fingerprint then
      return 'ERR ' .. OTHER_REQUEST
    end
    local reply, _, size
    if show then reply, _, size = show(base, device, kept, users) end
    if reply then return reply, nil, size end
    if show then kept = '' end
    return {'kept', key, kept}, nil, #kept
  end
  local reply, kept, size = operate(base, ...)
  if type(reply) == 'table' or KEPT_WORDS[string.match(reply, '^%u+')] then
    if type(kept) == 'function' then kept = kept() end
    keep_reply(base, device, req, kept or reply)
  end
  return reply, kept, size
end
