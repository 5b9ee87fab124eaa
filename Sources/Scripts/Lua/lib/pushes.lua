-- Changes whose members have to be put together.
-- USES: batch, changes, sealed
-- GIVES: push_said, push_unsaid, push_changed, push_began,
--   push_ended

-- A change shows so many bytes of messages, or of names, at most.
local SHOWN_BYTES = 4096

-- Publishes what was said, as many of the messages as fit; `first` is the oldest one's number if
-- the chat was full.
local function push_said(s, chat, seq, entries, first)
  local shown, bytes = {}, 0
  for n = 1, #entries do
    bytes = bytes + plain_bytes(entries[n]) + 8
    if bytes > SHOWN_BYTES then break end
    shown[n] = '{"seq":' .. entries[n]
  end
  push(s.base, s.device, 'chat.said', s.id, chat, ',"seq":%s,"messages":[%s]%s%s', text(seq),
    table.concat(shown, ','), #shown < #entries and ',"more":true' or '',
    first and ',"first_seq":' .. text(first) or '')
end

-- Publishes that the messages with these numbers, and those between them, are gone; nil for a
-- number that is not known.
local function push_unsaid(s, chat, first, last)
  push(s.base, s.device, 'chat.unsaid', s.id, chat, ',"from":%s,"to":%s',
    first and text(first) or 'null', last and text(last) or 'null')
end

-- Publishes which members were changed, as many of the names as fit; a field is named as it is.
local function push_changed(s, list)
  local names, bytes = {}, 0
  for n = 1, #list, 2 do
    local name = cut(list[n], 1, 2) == 'f:' and cut(list[n], 3) or '"' .. list[n] .. '"'
    bytes = bytes + #name + 1
    if bytes > SHOWN_BYTES then break end
    names[#names + 1] = name
  end
  push(s.base, s.device, 'session.changed', s.id, nil, ',"rev":%.0f,"members":[%s]%s', s.rev,
    table.concat(names, ','), 2 * #names < #list and ',"more":true' or '')
end

local function push_began(t)
  push(t.base, t.device, 'turn.began', t.session, t.chat, ',"turn":%s,"agent":%s,"ttl_ms":%.0f',
    t.turn, t.agent ~= '' and '"' .. t.agent .. '"' or 'null', t.ttl_ms)
end

-- Publishes that a turn has ended: it is `done` or was `interrupted`.
local function push_ended(t, ending)
  push(t.base, t.device, 'turn.ended', t.session, t.chat, ',"turn":%s,"agent":%s,"how":"%s"',
    t.turn, t.agent ~= '' and '"' .. t.agent .. '"' or 'null', ending)
end
