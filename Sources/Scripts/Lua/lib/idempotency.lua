-- How a change is made at most once per idempotency key.
-- USES: batch
-- GIVES: once

-- `req` is the key, a space and the request's fingerprint: the same request again gets the first
-- one's reply, another one is refused. Only OK is kept, for nothing else has changed anything.
-- Where a reply is long, is no line, or shows what may change, `operate` gives as its second
-- result what is kept instead, of which `show` makes the reply anew, or nil if it is corrupt; the
-- third result is how many bytes a reply has that is no line. The worker checks a kept reply; one
-- that is corrupt is an error, since the request may have been applied.
local function once(base, device, req, show, operate, ...)
  local id, fingerprint = string.match(req, '^(%S*) ?(.*)$')
  local key = base .. ':req:' .. device .. '/' .. id
  local line = fetch(key)
  if line then
    local first, kept = string.match(line, '^(%S*) (.+)$')
    if not first then return {'kept', key, ''}, nil, 0 end
    if first ~= fingerprint then
      return 'ERR conflict req= was used for another request on this device; a request needs an id '
        .. 'of its own'
    end
    local reply, _, size
    if show then reply, _, size = show(base, device, kept) end
    if reply then return reply, nil, size end
    if show then kept = '' end
    return {'kept', key, kept}, nil, #kept
  end
  local reply, kept, size = operate(base, ...)
  if type(reply) == 'table' or string.match(reply, '^%u+') == 'OK' then
    call('SET', key, fingerprint .. ' ' .. (kept or reply), 'PX', REQ_KEEP_MS)
  end
  return reply, kept, size
end
