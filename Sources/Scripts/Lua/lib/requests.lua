-- How one call serves several requests.
-- USES: batch, idempotency, slots
-- RARELY: once, answered, elsewhere
-- GIVES: answered, each

-- A call whose replies are larger than this answers no further request: they are in memory all at
-- once, here and in a worker, which puts less into a call when it has seen that.
local REPLIES_BYTES = 33554432
local replied, replied_in = 0, 0

-- The reply of a request from what pcall gives. One that fails takes no other one with it; one that
-- is refused before anything was written says how, as `refusal`.
local function outcome(ok, reply, _, size)
  if ok then
    replied = replied + (size or #reply)
    return reply
  end
  if type(reply) == 'table' and reply.refusal then return reply.refusal end
  return 'ERR internal ' .. (type(reply) == 'table' and reply.err or tostring(reply))
end

-- The reply of one request, whose `req` is empty if it has no idempotency key. Behind a tab there,
-- it has the parent of its trace, which is no part of the key.
local function answered(base, device, req, show, operate, ...)
  if replied_in ~= call_number then replied_in, replied = call_number, 0 end
  if replied >= REPLIES_BYTES then
    return 'ERR overloaded too much was asked for at once; nothing was done, retry'
  end
  local refusal = unpermitted()
  if refusal then return 'ERR internal ' .. refusal end
  if req == '' then return outcome(pcall(operate, base, ...)) end
  local tab = find(req, '\t', 1, true)
  if not tab then return outcome(pcall(once, base, device, req, show, operate, ...)) end
  traced.by = cut(req, tab + 1)
  local reply = tab == 1 and outcome(pcall(operate, base, ...))
    or outcome(pcall(once, base, device, cut(req, 1, tab - 1), show, operate, ...))
  traced.by = nil
  return reply
end

-- Gives what makes the function that serves a call, once the length of a request is known from the
-- script's header. `operate` gets the base key of each request and its parameters. Where the last
-- one is an idempotency key, that is used here, and the first one is the device; `show` as for
-- `once`. `quick` serves what it can with one write at the most, its last step, and gives nil for
-- all else: it is tried first, without asking about rights, as one write is never half of anything.
-- Before a second write it asks by itself.
local function each(operate, show, quick)
  return function(stride, has_key)
    local count = has_key and stride - 1 or stride
    return function()
      local replies, is_permitted = {}, nil
      replied_in, replied = call_number, 0
      for item = 1, #KEYS do
        local base, first, reply = KEYS[item], (item - 1) * stride + 1, nil
        local last, req = first + count - 1, has_key and ARGV[item * stride] or ''
        if IS_CLUSTER then reply = elsewhere(base) end
        if not reply and quick and req == '' then
          local ok, line = pcall(quick, base, unpack(ARGV, first, last))
          reply = ok and line
        end
        if not reply and req == '' and replied < REPLIES_BYTES then
          if is_permitted == nil then is_permitted = not unpermitted() end
          reply = is_permitted and outcome(pcall(operate, base, unpack(ARGV, first, last)))
        end
        replies[item] = reply
          or answered(base, ARGV[first], req, show, operate, unpack(ARGV, first, last))
      end
      return replies
    end
  end
end
