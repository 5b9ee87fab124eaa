-- EXPORT: a session whole, as one JSON object; every value is copied as it is stored. It stops
-- where it would grow too long, so that a large session does not hold Redis up.
-- USES: batch, session_load, links, session_json, messages
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty, how many bytes the object may have
-- RETURNS: OK, NONE, ERR

local function pairs_json(list) return '{' .. table.concat(list, ',') .. '}' end

-- A revision, and the value unless it was removed then.
local function versioned(line)
  local rev, json = string.match(line, '^(%d+) ?(.*)$')
  return '[' .. rev .. (json ~= '' and ',' .. json or '') .. ']'
end

local function all_messages(s, chat, room)
  local pages, size = {}, 0
  while true do
    local page = call('LRANGE', log_of(s, chat), 32 * #pages, 32 * #pages + 31)
    if #page == 0 then return table.concat(pages, ','), size end
    size = size + bytes_of(page)
    if size > room then return nil end
    pages[#pages + 1] = messages_json('', page, 1, '')
  end
end

return each(3, function(base, i)
  local s = load(base, ARGV[i], ARGV[i + 1])
  if not s then return 'NONE' end
  local flat, v, members, fields, spent = call('HGETALL', s.key), {}, {}, {}, {}
  for n = 1, #flat, 2 do
    local name, value = flat[n], flat[n + 1]
    v[name] = value
    local kind, rest = string.match(name, '^(%l):(.*)$')
    if kind == 'f' then fields[#fields + 1] = rest .. ':' .. versioned(value) end
    if kind == 's' then spent[#spent + 1] = '"' .. rest .. '":' .. value end
    if name == 'name' or name == 'phase' or name == 'step' then
      members[#members + 1] = '"' .. name .. '":' .. versioned(value)
    end
  end
  for _, list in ipairs({members, fields, spent}) do table.sort(list) end
  local size, chats, too_large = #pairs_json(fields), {}, 'ERR too_large the session has more than '
    .. ARGV[i + 2] .. ' bytes'
  for chat = 1, s.chats do
    local messages, grown = all_messages(s, chat, ARGV[i + 2] - size)
    if not messages then return too_large end
    size = size + grown
    local asked = v['t:' .. chat] or ''
    chats[chat] = '{"seq":' .. (v['q:' .. chat] or '0') .. ',"asked_at":'
      .. (asked ~= '' and asked or 'null') .. ',"name":' .. (v['n:' .. chat] or 'null')
      .. ',"config":' .. (v['c:' .. chat] or 'null') .. ',"messages":[' .. messages .. ']}'
  end
  local whole = '{"format":1,"device":"' .. s.device .. '","session":"' .. s.id .. '","state":"'
    .. s.state .. '","reason":' .. (v.reason or 'null') .. ',"rev":' .. v.rev .. ',"clocks":['
    .. string.gsub(v.clocks, ' ', ',') .. '],"created_at":' .. v.created .. ',"active_at":'
    .. v.active .. string.format(',"born_at":%.0f,"since":%.0f,"warned":[', s.born, s.since)
    .. string.gsub(s.warned, ' ', ',') .. '],"thread":' .. thread_of(s, v)
    .. ',"fenced":' .. tostring(s.fenced) .. ',"floor":' .. (v.floor or '0') .. ',"chat":' .. s.chat
    .. ',"answers":[' .. (v.answers or '0') .. ',' .. (v.answer_ms or '0') .. '],"links":'
    .. links_json(s.links) .. ',"spent":' .. pairs_json(spent) .. ',"members":'
    .. pairs_json(members) .. ',"fields":' .. pairs_json(fields) .. ',"chats":['
    .. table.concat(chats, ',') .. ']}'
  return #whole > tonumber(ARGV[i + 2]) and too_large or 'OK ' .. whole
end)
