-- How one call serves several requests, and each change at most once per idempotency key.
-- USES: batch
-- GIVES: answered, each

-- A call whose replies are larger than this answers no further request: they are in memory all at
-- once, here and in a worker, which puts less into a call when it has seen that.
local REPLIES_BYTES = 134217728
local replied
at_begin(function() replied = 0 end)

-- Runs a change at most once per idempotency key. `req` is the key, a space and the request's
-- fingerprint: the same request again gets the first one's reply, another one is refused. Only OK
-- is kept, for nothing else has changed anything. Where a reply is long, is no line, or shows what
-- may change, `operate` gives as its second result what is kept instead, of which `show` makes the
-- reply anew, or nil if it is corrupt; the third result is how many bytes a reply has that is no
-- line. The worker checks a kept reply; one that is corrupt is an error, since the request may have
-- been applied.
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

-- The reply of one request, whose `req` is empty if it has no idempotency key. One that fails takes
-- no other one with it.
local function answered(base, device, req, show, operate, ...)
  if replied >= REPLIES_BYTES then
    return 'ERR overloaded too much was asked for at once; nothing was done, retry'
  end
  local ok, reply, _, size
  if req == '' then
    ok, reply, _, size = pcall(operate, base, ...)
  else
    ok, reply, _, size = pcall(once, base, device, req, show, operate, ...)
  end
  if ok then
    replied = replied + (size or #reply)
    return reply
  end
  return 'ERR internal ' .. (type(reply) == 'table' and reply.err or tostring(reply))
end

-- Gives the function that runs `operate` for each request of a call. With `changes`, a request's
-- last argument is its idempotency key and fingerprint, the first the device; `show` as for `once`.
local function each(stride, operate, changes, show)
  return function()
    local replies = {}
    for item = 1, #KEYS do
      local first = (item - 1) * stride + 1
      local req = changes and ARGV[first + stride - 1] or ''
      replies[item] = answered(KEYS[item], ARGV[first], req, show, operate, first)
    end
    return replies
  end
end
