-- The places of callers that wait: `place:<kind>:<device>/<id>` keeps the score under which a
-- ticket stood or stands, for a caller that asks again with that idempotency key.
-- USES: batch
-- GIVES: queue_scores

-- So long a place is kept for a caller that does not wait.
local PLACE_MS = 5000

-- The key of a ticket's place: by its caller's request, or its own.
local function place_key(base, kind, device, ticket)
  local worker, number, request = string.match(ticket, '^(%S+) (%S+) (%S+)')
  if not worker then return nil end
  return base .. ':place:' .. kind .. ':' .. device .. '/'
    .. (string.match(request, '^(.+)/%x+$') or worker .. '/' .. number)
end

-- Keeps a ticket's place for as long as its caller may wait, and for a caller that does not wait.
local function keep_place(base, kind, device, ticket, score, wait_ms)
  local key = place_key(base, kind, device, ticket)
  if key then
    call('SET', key, score .. ' ' .. ticket, 'PX', text((wait_ms or 0) + PLACE_MS))
  end
end

-- The score of a ticket's place, and the ticket that has it; or nil.
local function place_of(base, kind, device, ticket)
  local key = place_key(base, kind, device, ticket)
  return string.match(key and fetch(key) or '', '^(%d+) (.+)$')
end

local queue_scores = {keep = keep_place, of = place_of}
