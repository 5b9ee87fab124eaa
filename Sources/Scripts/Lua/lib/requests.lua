-- How one call serves several requests.
-- USES: batch, idempotency
-- GIVES: answered, each

-- A call whose replies are larger than this answers no further request: they are in memory all at
-- once, here and in a worker, which puts less into a call when it has seen that.
local REPLIES_BYTES = 134217728
local replied, replied_in = 0, 0

-- The reply of one request, whose `req` is empty if it has no idempotency key. One that fails takes
-- no other one with it.
local function answered(base, device, req, show, operate, ...)
  if replied_in ~= call_number then replied_in, replied = call_number, 0 end
  if replied >= REPLIES_BYTES then
    return 'ERR overloaded too much was asked for at once; nothing was done, retry'
  end
  local refusal = unpermitted()
  if refusal then return 'ERR internal ' .. refusal end
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

-- Gives what makes the function that serves a call, once the length of a request is known from the
-- script's header. `operate` gets the base key of each request and its parameters. Where the last
-- one is an idempotency key, that is used here, and the first one is the device; `show` as for
-- `once`.
local function each(operate, show)
  return function(stride, has_key)
    return function()
      local replies = {}
      for item = 1, #KEYS do
        local first, last = (item - 1) * stride + 1, item * stride
        local req = has_key and ARGV[last] or ''
        if has_key then last = last - 1 end
        replies[item] = answered(KEYS[item], ARGV[first], req, show, operate,
          unpack(ARGV, first, last))
      end
      return replies
    end
  end
end
