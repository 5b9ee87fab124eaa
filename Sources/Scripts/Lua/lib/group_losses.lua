-- That a group has lost events of a partition is one of its consumers: `lost` until a worker reads
-- it, then `reported` until a consumer has it. If the worker dies it is read again.
-- USES: batch
-- GIVES: group_losses

local function is_loss(name) return name == 'lost' or name == 'reported' end

-- Whether a consumer says that there is a loss that no worker is about to report. `reading` is as
-- `claimable` takes it.
local function is_due_now(reading, consumer)
  local name, idle_ms = consumer[2], consumer[6]
  return name == 'lost' or name == 'reported' and idle_ms > tonumber(reading.lease_ms)
end

-- Whether a loss of the group is to be reported.
local function is_loss_due(reading, consumers)
  for _, consumer in ipairs(consumers) do
    if is_due_now(reading, consumer) then return true end
  end
  return false
end

-- The worker that reads is about to report the loss.
local function claim_loss(log, reading, consumers)
  for _, consumer in ipairs(consumers) do
    if is_due_now(reading, consumer) then
      call('XGROUP', 'DELCONSUMER', log, reading.group, consumer[2])
    end
  end
  call('XGROUP', 'CREATECONSUMER', log, reading.group, 'reported')
end

-- A group whose place in the log has gone, by the worker that reads.
local function begin_loss(log, group) call('XGROUP', 'CREATECONSUMER', log, group, 'reported') end

-- A loss is with a consumer, or could not be written.
local function settle_loss(log, group, is_given)
  redis.pcall('XGROUP', 'DELCONSUMER', log, group, 'reported')
  if not is_given then redis.pcall('XGROUP', 'CREATECONSUMER', log, group, 'lost') end
end

local group_losses = {is = is_loss, is_due = is_loss_due, claim = claim_loss, begin = begin_loss,
  settle = settle_loss}
