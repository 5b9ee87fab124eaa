-- How all of a session's links of some kinds are replaced.
-- USES: batch, links
-- GIVES: replaced_links, set_links

-- The session's links where those of the kinds in `lines` are replaced by these; and a refusal if
-- they are too many.
local function replaced_links(s, lines)
  local kinds, kept, n = {}, '', 0
  for kind in string.gmatch(lines, '(%S+) %S+\n') do kinds[kind] = true end
  for kind, ref in string.gmatch(s.links, '(%S+) (%S+)\n') do
    local line = kind .. ' ' .. ref .. '\n'
    -- One that stays keeps its place.
    if not kinds[kind] or find('\n' .. lines, '\n' .. line, 1, true) then kept = kept .. line end
  end
  for kind, ref in string.gmatch(lines, '(%S+) (%S+)\n') do
    local line = kind .. ' ' .. ref .. '\n'
    if not find('\n' .. kept, '\n' .. line, 1, true) then kept = kept .. line end
  end
  local own = string.gsub('\n' .. kept, '\nthread [^\n]*', '')
  for _ in string.gmatch(own, '[^\n]+') do n = n + 1 end
  return kept, links_refusal(n, #own - 1)
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
