-- How all of a session's links of some kinds are replaced.
-- USES: batch, links, session_users
-- RARELY: is_of_users
-- GIVES: replaced_links, keep_others, set_links

-- The session's links where those of the kinds in `lines` are replaced by these; and a refusal if
-- they are too many. With `keeps_others` those to users to whom the request is not limited stay.
local function replaced_links(s, lines, keeps_others)
  local kinds, kept, n = {}, '', 0
  for kind in string.gmatch(lines, '(%S+) %S+\n') do kinds[kind] = true end
  for kind, ref in string.gmatch(s.links, '(%S+) (%S+)\n') do
    local line = kind .. ' ' .. ref .. '\n'
    -- One that stays keeps its place.
    local is_other = keeps_others and kind == 'user' and not is_of_users(s.users, line)
    if not kinds[kind] or is_other or find('\n' .. lines, '\n' .. line, 1, true) then
      kept = kept .. line
    end
  end
  for kind, ref in string.gmatch(lines, '(%S+) (%S+)\n') do
    local line = kind .. ' ' .. ref .. '\n'
    if not find('\n' .. kept, '\n' .. line, 1, true) then kept = kept .. line end
  end
  local own = string.gsub('\n' .. kept, '\nthread [^\n]*', '')
  for _ in string.gmatch(own, '[^\n]+') do n = n + 1 end
  return kept, links_refusal(n, #own - 1)
end

-- Keeps a session's links to users to whom the request is not limited, which are not its caller's
-- to remove, when it is imported as `fields` with the values `v`; a refusal if they are too many.
local function keep_others(s, v, fields)
  local lines, before = v.links or '', v.links
  for ref in string.gmatch('\n' .. s.links, '\nuser (%S+)') do
    local line = 'user ' .. ref .. '\n'
    if not is_of_users(s.users, line) and not find('\n' .. lines, '\n' .. line, 1, true) then
      lines = lines .. line
    end
  end
  if lines == before then return nil end
  for n = 1, #fields, 2 do if fields[n] == 'links' then fields[n + 1] = lines end end
  v.links = lines
  local _, count = string.gsub(lines, '\n', '\n')
  return links_refusal(count, #lines)
end

-- Makes these the session's links: each that goes or comes has a revision of its own.
local function set_links(s, lines)
  for kind, ref in string.gmatch(s.links, '(%S+) (%S+)\n') do
    if not find('\n' .. lines, '\n' .. kind .. ' ' .. ref .. '\n', 1, true) then
      drop_link(s, kind, ref)
    end
  end
  for kind, ref in string.gmatch(lines, '(%S+) (%S+)\n') do add_link(s, kind, ref) end
end
