-- Sessions that are too large to be shown by one reply: the worker reads them in parts, with other
-- calls in between.
-- USES: batch
-- GIVES: is_large, is_small, large_line

-- A record of more bytes is not read whole, nor is one in a call that has read so many. Redis knows
-- the size in 1 us, where reading 32 MB takes it 100 ms.
local WHOLE_BYTES, CALL_BYTES = 1048576, 2097152
-- One of no more is read whole before it is known whose it is: so that takes no command more, and a
-- session that is another user's takes a few us more than one that is not there.
local SMALL_BYTES = 2048
local bytes_read, read_in = 0, 0

-- Whether a record has more bytes than `most`, or is not to be read whole by this call; if it may
-- be, it counts as read.
local function exceeds(key, most)
  if read_in ~= call_number then read_in, bytes_read = call_number, 0 end
  local size = attempt('MEMORY', 'USAGE', key, 'SAMPLES', '0')
  if type(size) ~= 'number' then return false end
  if size > most or bytes_read > CALL_BYTES then return true end
  bytes_read = bytes_read + size
  return false
end

-- Whether a record is not to be read whole by this call.
local function is_large(key) return exceeds(key, WHOLE_BYTES) end

-- Whether a record may be read whole to see whose it is.
local function is_small(key) return not exceeds(key, SMALL_BYTES) end

-- The reply for a session that is to be read in parts, with the users to whose sessions the request
-- is limited behind its id, and the fields that were asked for; and what is kept of it under an
-- idempotency key.
local function large_line(device, id, users, fields, rest)
  local words = 'LARGE ' .. device .. ' ' .. id .. users .. ' ' .. text(#fields) .. ' '
  return words .. fields .. rest, id .. rest
end
