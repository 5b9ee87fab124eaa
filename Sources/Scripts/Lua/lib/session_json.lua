-- How a session becomes a record.
-- USES: batch, session_index, session_load, links
-- GIVES: messages_in, thread_of, record

local function time_or_null(at) return at and text(at) or 'null' end

local function messages_in(s)
  local sum = 0
  for chat = 1, s.chats do sum = sum + call('LLEN', s.key .. '/' .. chat) end
  return sum
end

-- A session without a thread of its own goes by its id.
local function thread_of(s, v) return v.thread or '"' .. s.id .. '"' end

-- The JSON of a member's line, which is its revision and its JSON; none if it was removed.
local function json_of(line)
  local space = line and find(line, ' ', 1, true)
  return space and cut(line, space + 1)
end

-- The names of fields that have a value and their values, as JSON in the order of their texts.
local function fields_json(v)
  local names, json = {}, {}
  for name in pairs(v) do
    if cut(name, 1, 2) == 'f:' then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = json_of(v[name])
    if value then
      local n = #json
      json[n + 1] = n == 0 and '' or ','
      json[n + 2], json[n + 3], json[n + 4] = cut(name, 3), ':', value
    end
  end
  return table.concat(json)
end

-- The session whole, as JSON behind `before`; texts and fields are stored as JSON and not touched.
-- `v` is what `members_of` gives, unless it is to be read.
local function record(s, before, v)
  v = v or members_of(s.key)
  return before .. '{"session":"' .. s.id .. '","device":"' .. s.device .. '","state":"' .. s.state
    .. '","reason":' .. (v.reason or 'null') .. ',"rev":' .. v.rev .. ',"name":'
    .. (json_of(v.name) or 'null') .. ',"thread":' .. thread_of(s, v) .. ',"phase":'
    .. (json_of(v.phase) or 'null') .. ',"step":' .. (json_of(v.step) or 'null')
    .. ',"created_at":' .. v.created .. ',"active_at":' .. v.active .. ',"idle_at":'
    .. time_or_null(idle_at(s)) .. ',"abandon_at":' .. time_or_null(abandon_at(s))
    .. ',"life_at":' .. time_or_null(life_at(s)) .. ',"keep_until":'
    .. time_or_null(keep_until(s)) .. ',"chat":' .. (v.chat or '1') .. ',"chats":'
    .. (v.chats or '1') .. ',"messages":' .. text(messages_in(s)) .. ',"links":'
    .. links_json(s.links) .. ',"fields":{' .. fields_json(v) .. '}}'
end
