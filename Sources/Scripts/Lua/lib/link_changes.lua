-- How all of a session's links of some kinds are replaced.
-- USES: batch, links, session_users
-- RARELY: is_of_users
-- GIVES: replaced_links, keep_others, links_beside, set_links
local LINK = '(%S+) (%S+)\n'

-- The session's links where those of the kinds in `lines` are replaced by these; and a refusal if
-- they are too many. With `keeps_others` those to users to whom the request is not limited stay.
local function replaced_links(s, lines, keeps_others)
  local kinds, wanted, list, has, n = {}, {}, {}, {}, 0
  for line, kind in string.gmatch(lines, '((%S+) %S+\n)') do
    kinds[kind], wanted[line] = true, true
  end
  local function add(line)
    if not has[line] then list[#list + 1], has[line] = line, true end
  end
  for line, kind in string.gmatch(s.links, '((%S+) %S+\n)') do
    -- One that stays keeps its place.
    local is_other = keeps_others and kind == 'user' and not is_of_users(s.users, line)
    if not kinds[kind] or is_other or wanted[line] then add(line) end
  end
  for line in string.gmatch(lines, '%S+ %S+\n') do add(line) end
  local kept = table.concat(list)
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

-- Of links in lines those that others have not, and how many these are.
local function links_beside(lines, others)
  local list, has = {}, {}
  for line in string.gmatch(others, '%S+ %S+\n') do has[line] = true end
  for line in string.gmatch(lines, '%S+ %S+\n') do
    if not has[line] then list[#list + 1] = line end
  end
  return table.concat(list), #list
end

-- Makes these the session's links, by one write: each that goes or comes has a revision of its own.
local function set_links(s, lines)
  local removed, removed_n = links_beside(s.links, lines)
  local added, added_n = links_beside(lines, s.links)
  if removed_n + added_n == 0 then return end
  s.links = lines
  call('HSET', s.key, 'links', lines, 'rev', text(s.rev + removed_n + added_n), 'updated', now_text)
  for kind, ref in string.gmatch(removed, LINK) do push_link(s, kind, ref, 'link.removed') end
  for kind, ref in string.gmatch(added, LINK) do push_link(s, kind, ref, 'link.added') end
  enqueue_links(s, removed .. added)
end
