-- SET: merges members into a session: parts, names and values in turn. A new user needs a
-- reservation first, as in link.lua. `lengths` has a word for each clock in the order of records:
-- its new length in ms, or `-`.
-- USES: batch, changes, pushes, requests, numbers, clocks, transitions, links, reservations,
--   session_changes, merge
-- RARELY: set_user, links_full, has_link, index, set_ttl, gone_by, push_changed
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, members, seen_rev?, user?, reserved?, lengths?, token?, req?
-- RETURNS: OK, NONE, STALE, ERR, MORE

-- Changes the lengths of clocks, and moves the deadlines. The first change of a request makes the
-- revision.
local function set_clocks(s, lengths, is_first)
  local line, words, changed = {}, {}, {}
  for length in string.gmatch(lengths, '%S+') do words[#words + 1] = length end
  for _, name in ipairs(CLOCKS) do
    local length = words[#line + 1]
    line[#line + 1] = length ~= '-' and length or text(s.clocks[name])
    if length ~= '-' then
      changed[#changed + 1] = name
      changed[#changed + 1] = length
    end
  end
  line = table.concat(line, ' ')
  if is_first then s.rev = s.rev + 1 end
  s.clocks = clocks_of(line)
  call('HSET', s.key, 'clocks', line, 'rev', text(s.rev), 'updated', now_text)
  index(s)
  set_ttl(s, gone_by(s))
  if is_watched(s.base, s.device) then push_changed(s, changed) end
end

return each(function(base, device, session, members, seen_rev, user, reserved, lengths, token)
  local s, refusal = open_live(base, device, session, token, 'SET')
  if not s then return refusal end
  seen_rev = tonumber(seen_rev)
  if seen_rev and seen_rev > s.rev then return string.format('STALE {"rev":%d}', s.rev) end
  local full = user ~= '' and links_full(s, 'user', user, 'user')
  if full then return full end
  local needed = user ~= '' and not has_link(s, 'user', user) and {'user/' .. user} or {}
  local more = unreserved(s.id, s.state, needed, reserved)
  if more then return more end
  refusal = merge(s, parts(members), seen_rev)
  if refusal then return refusal end
  if lengths ~= '' then set_clocks(s, lengths, members == '') end
  if user ~= '' then set_user(s, user) end
  return string.format('OK {"rev":%d}', s.rev)
end)
