-- The reservations that a change needs in the partitions of links before it is done: the worker
-- makes them and asks again.
-- USES: batch, session_index
-- GIVES: reservations_of, unreserved

-- The reservations for links, which are lines of kind and ref: `<kind>/<ref>` each. With `only`
-- those of this kind.
local function reservations_of(lines, only)
  local list = {}
  for kind, ref in string.gmatch(lines, '(%S+) (%S+)\n') do
    if not only or kind == only then list[#list + 1] = kind .. '/' .. ref end
  end
  return list
end

-- The reply that asks for reservations, if one of the list is not among those made, each of which
-- stands between spaces; or nil. It names the session, its state after the change, and all that are
-- needed. The state of a live one is followed by the quota of its policy (0: the server's), and
-- `evict` if that makes room at it.
local function unreserved(id, state, list, made, policy)
  for _, reservation in ipairs(list) do
    if not find(made, ' ' .. reservation .. ' ', 1, true) then
      local status = not LIVE[state] and 'kept'
        or 'live,' .. text(policy.users) .. (policy.evicts and ',evict' or '')
      return 'MORE ' .. id .. ' ' .. status .. ' ' .. table.concat(list, ' ')
    end
  end
end
