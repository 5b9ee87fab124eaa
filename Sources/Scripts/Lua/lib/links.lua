-- A session's links to users, tags and other kinds that callers name, as its record keeps them:
-- lines of kind and ref, neither of which needs escapes. The link index, from a link to its
-- sessions, is in the link's own partition, which a worker updates after each change: an outbox
-- entry in the deadline index asks for that. A thread that was given is a link of the kind
-- `thread`, which callers neither make nor see.
-- USES: batch, quotas, changes, session_index, session_load
-- GIVES: links_json, links_refusal, links_full, has_link, enqueue_links, push_link, add_link,
--   drop_link, status_of

local ID = "([%w%._:@%+%-%%~!%*'%(%)]+)"
local function links_json(lines)
  if lines == '' then return '{}' end
  -- A text that is no id is corrupt, and would corrupt the line.
  local kinds, refs = {}, {thread = {}}
  for kind, ref in string.gmatch(lines, ID .. ' ' .. ID .. '\n') do
    if not refs[kind] then kinds[#kinds + 1], refs[kind] = kind, {} end
    table.insert(refs[kind], '"' .. ref .. '"')
  end
  for i, kind in ipairs(kinds) do
    kinds[i] = '"' .. kind .. '":[' .. table.concat(refs[kind], ',') .. ']'
  end
  return '{' .. table.concat(kinds, ',') .. '}'
end

-- The reason why a session cannot have so many links, of so many bytes, because each of its events
-- shows them; or false.
local function links_refusal(n, bytes)
  return n > LINKS_MAX and exceed(n, LINKS_MAX, 'links of this session')
    or bytes > LINK_BYTES_MAX and exceed(bytes, LINK_BYTES_MAX, 'bytes of links of this session')
end

-- The same for a link to `ref` besides those that it has.
local function links_full(s, kind, ref)
  local n, bytes = 0, #kind + #ref + 2
  for other, to in string.gmatch(s.links, '(%S+) (%S+)\n') do
    if other ~= 'thread' then n, bytes = n + 1, bytes + #other + #to + 2 end
  end
  return links_refusal(n + 1, bytes)
end

-- The place of a link in the lines, or nil. A line more at each end, so that no link is found
-- within another.
local function has_link(s, kind, ref)
  return (find('\n' .. s.links, '\n' .. kind .. ' ' .. ref .. '\n', 1, true))
end

-- Adds outbox entries for links in lines: each one's partition is to be informed of the session's
-- status. A later entry replaces an earlier one, whose worker then does not remove it. With `only`
-- for links of that kind.
local function enqueue_links(s, lines, only)
  local entries, from = {}, 'k:' .. s.device .. '/' .. s.id .. ' '
  -- `%f` and a class: a kind begins here, so that none is found by its end. `%z` is what is before
  -- the first one.
  for kind, ref in string.gmatch(lines, '%f[^%s%z](' .. (only or '%S+') .. ') (%S+)\n') do
    entries[#entries + 1], entries[#entries + 2] = now_text, from .. kind .. '/' .. ref
  end
  for n = 1, #entries, 1000 do
    regardless(call, 'ZADD', s.base .. ':due', unpack(entries, n, math.min(n + 999, #entries)))
  end
end

-- Publishes that a link goes or comes, by a revision of its own.
local function push_link(s, kind, ref, change)
  s.rev = s.rev + 1
  push(s.base, s.device, change, s.id, nil, ',"kind":"%s","ref":"%s","rev":%.0f', kind, ref, s.rev)
end

local function write_links(s, lines, kind, ref, change)
  s.links = lines
  call('HSET', s.key, 'links', lines, 'rev', s.rev + 1, 'updated', now_text)
  push_link(s, kind, ref, change)
  enqueue_links(s, kind .. ' ' .. ref .. '\n')
end

local function add_link(s, kind, ref)
  if has_link(s, kind, ref) then return end
  write_links(s, s.links .. kind .. ' ' .. ref .. '\n', kind, ref, 'link.added')
end

local function drop_link(s, kind, ref)
  local at = has_link(s, kind, ref)
  local rest = at and cut(s.links, 1, at - 1) .. cut(s.links, at + #kind + #ref + 2)
  if rest then write_links(s, rest, kind, ref, 'link.removed') end
end

-- The status of a session for one of its links: live, kept, or gone.
local function status_of(base, device, id, kind, ref)
  local s = load(base, device, id)
  if not s or not has_link(s, kind, ref) then return 'gone' end
  return LIVE[s.state] and 'live' or 'kept'
end
