-- That a group has lost events of a partition is one of its consumers: `lost` until a worker reads
-- it, then `reported` until a consumer has it. If the worker dies it is read again.
-- USES: batch
-- GIVES: group_losses

local function is_loss(name) return name == 'lost' or name == 'reported' end

-- Whether a loss of the group is to be reported now, by the worker that reads: `reading` as
-- `claimable` takes it.
local function claim_loss(log, reading, consumers)
  local is_claimed = false
  for _, consumer in ipairs(consumers) do
    local name, idle_ms = consumer[2], consumer[6]
    if name == 'lost' or name == 'reported' and idle_ms > tonumber(reading.lease_ms) then
      call('XGROUP', 'DELCONSUMER', log, reading.group, name)
      is_claimed = true
    end
  end
  if is_claimed then call('XGROUP', 'CREATECONSUMER', log, reading.group, 'reported') end
  return is_claimed
end

-- A loss is with a consumer, or could not be written.
local function settle_loss(log, group, is_given)
  redis.pcall('XGROUP', 'DELCONSUMER', log, group, 'reported')
  if not is_given then redis.pcall('XGROUP', 'CREATECONSUMER', log, group, 'lost') end
end

local group_losses = {is = is_loss, claim = claim_loss, settle = settle_loss}
