-- How the entries of a large log get into its account, and out of it: a piece at a time, by reading
-- them.
-- USES: batch, stream_ids, log_account
-- GIVES: count_entries, drop_oldest

-- Entries are read so many at a time, and until they have about so many bytes.
local READ_STEP, PIECE_BYTES = 32, 131072

-- Goes on with the account; returns whether it has the whole log then.
local function count_entries(account, log)
  local bytes, entries = 0, nil
  repeat
    entries = call('XRANGE', log, '(' .. account.upto, '+', 'COUNT', READ_STEP)
    for _, entry in ipairs(entries) do
      bytes = bytes + log_account.change(account, entry[2], 1)
      account.upto = entry[1]
    end
  until #entries < READ_STEP or bytes >= PIECE_BYTES
  return #entries < READ_STEP
end

-- Drops the oldest entries before `limit`, which is in the log: so many, of so many bytes, and all
-- before `old`; but no more than a piece. Returns how many there were, their bytes, whether there
-- are more to drop, and the id of the newest of them.
local function drop_oldest(account, log, limit, count, bytes, old)
  local dropped, size, gone, first, is_more = 0, 0, nil, nil, false
  repeat
    local entries = call('XRANGE', log, gone and '(' .. gone or '-', '+', 'COUNT', READ_STEP)
    for _, entry in ipairs(entries) do
      local is_due = dropped < count or size < bytes or old and is_before(entry[1], old)
      is_more = is_due and is_before(entry[1], limit)
      first = entry[1]
      if not is_more or size >= PIECE_BYTES then break end
      local is_known = not is_before(account.upto, first)
      size = size + (is_known and log_account.change(account, entry[2], -1) or #entry[2][6] + 48)
      dropped, gone, first = dropped + 1, first, nil
    end
  until first or #entries == 0
  if dropped > 0 then call('XTRIM', log, 'MINID', first or id_after(gone)) end
  return dropped, size, is_more, gone
end
