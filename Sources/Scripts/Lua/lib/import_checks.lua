-- What IMPORT looks at before it writes a session that somebody brings.
-- USES: batch, session_load, clocks, cleanup
-- GIVES: over_at, sweep_up_ghost

-- When a session with these fields is gone by its clocks alone.
local function over_at(v)
  local clocks, since, born = numbers_of(v.clocks), v.since or v.created, v.born or v.created
  return gone_by({state = v.state, since = tonumber(since), born = tonumber(born),
    abandon = clocks[2], archive = clocks[3], life = clocks[4], keep = clocks[5]})
end

-- What a record has left that went by its TTL, and that no reaper has come for yet: all that tells
-- of it is its member, whose place the one of a session of the same name would take.
local function sweep_up_ghost(base, device, id)
  for state, letter in string.gmatch(LETTERS, '(%l+)=(%l)') do
    if call('ZSCORE', base .. ':due', letter .. ':' .. device .. '/' .. id) then
      sweep_up(base, device, id, state)
      recount(base, device)
    end
  end
end
