-- SET: merges members into a session: parts, names and values in turn. `links` are a line each and
-- replace those of their kinds, behind a `+` not those of other users; a new one needs to be
-- reserved first, as in link.lua. `lengths` has a word for each clock in the order of records: its
-- new length in ms, or `-`; `policy` is a line as in records.
-- USES: batch, link_changes, clock_lengths, policies, changes, pushes, requests, numbers, clocks,
--   transitions, reservations, session_changes, merge
-- RARELY: policy_of, stored_policy, with_life, replaced_links, links_beside, set_links, index,
--   set_ttl, gone_by, push_changed
-- KEYS: the base key of each request's partition
-- ARGV: device, session?, members, seen_rev?, links?, reserved?, lengths?, policy?, token?,
--   req?
-- RETURNS: OK, NONE, STALE, ERR, MORE

-- Changes the lengths of clocks and the policy, and moves the deadlines. The first change of a
-- request makes the revision.
local function set_clocks(s, lengths, policy, is_first)
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
  -- Those that a newer version has written stay.
  line = table.concat(line, ' ') .. (s.clocks.surplus or '')
  if policy ~= '' then changed[#changed + 1], changed[#changed + 2] = 'policy', policy end
  if is_first then s.rev = s.rev + 1 end
  s.clocks = clocks_of(line)
  call('HSET', s.key, 'clocks', line, 'rev', text(s.rev), 'updated', now_text,
    unpack(policy ~= '' and {'policy', policy} or {}))
  index(s)
  set_ttl(s, gone_by(s))
  if is_watched(s.base, s.device) then push_changed(s, changed) end
end

return each(function(base, device, session, members, seen_rev, links, reserved, lengths, policy,
    token)
  local s, refusal = open_live(base, device, session, token, 'SET')
  if not s then return refusal end
  seen_rev = tonumber(seen_rev)
  if seen_rev and seen_rev > s.rev then return string.format('STALE {"rev":%d}', s.rev) end
  local linked, keeps_others = s.links, cut(links, 1, 1) == '+'
  links = keeps_others and cut(links, 2) or links
  if links ~= '' then linked, refusal = replaced_links(s, links, keeps_others) end
  if refusal then return refusal end
  local needed = links == '' and {} or reservations_of((links_beside(links, s.links)))
  if lengths ~= '' then lengths, refusal = with_life(lengths, s.born) end
  if refusal then return refusal end
  local limits = policy ~= '' and policy_of(policy) or #needed > 0 and stored_policy(s)
  local more = unreserved(s.id, s.state, needed, reserved, limits)
  if more then return more end
  refusal = merge(s, parts(members), seen_rev)
  if refusal then return refusal end
  if lengths ~= '' then set_clocks(s, lengths, policy, members == '') end
  if links ~= '' then set_links(s, linked) end
  return string.format('OK {"rev":%d}', s.rev)
end)
