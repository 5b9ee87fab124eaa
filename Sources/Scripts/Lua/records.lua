-- How a session becomes a record.
-- KEYS: as in batch.lua
-- ARGV: none of its own
-- RETURNS: nothing

-- A page of a list ends when it has grown so large; the worker's lists have the same limit.
local PAGE_BYTES = 4194304

local function time_or_null(at) return at and text(at) or 'null' end

local function messages_in(s)
  local sum = 0
  for chat = 1, s.chats do sum = sum + call('LLEN', s.key .. '/' .. chat) end
  return sum
end

-- A session without a thread of its own goes by its id.
local function thread_of(s, v) return v.thread or '"' .. s.id .. '"' end

-- The session whole, as JSON; texts and fields are stored as JSON and not touched.
local function record(s)
  local flat = call('HGETALL', s.key)
  local v, fields = {}, {}
  for i = 1, #flat, 2 do
    local name, value = flat[i], flat[i + 1]
    if string.sub(name, 1, 2) == 'f:' then
      local json = string.match(value, '^%d+ (.+)$')
      if json then fields[#fields + 1] = string.sub(name, 3) .. ':' .. json end
    else
      v[name] = value
    end
  end
  table.sort(fields)
  local function json_of(name) return string.match(v[name] or '', '^%d+ (.+)$') or 'null' end
  return string.format('{"session":"%s","device":"%s","state":"%s","reason":%s,"rev":%d,',
      s.id, s.device, s.state, v.reason or 'null', s.rev)
    .. '"name":' .. json_of('name') .. ',"thread":' .. thread_of(s, v) .. ',"phase":'
    .. json_of('phase') .. ',"step":' .. json_of('step')
    .. string.format(',"created_at":%s,"active_at":%s,"idle_at":%s,"abandon_at":%s,"life_at":%s,'
      .. '"keep_until":%s,"chat":%s,"chats":%d,"messages":%d,', v.created, v.active,
      time_or_null(idle_at(s)), time_or_null(abandon_at(s)), time_or_null(life_at(s)),
      time_or_null(keep_until(s)), s.chat, s.chats, messages_in(s))
    .. '"links":' .. links_json(s.links) .. ',"fields":{' .. table.concat(fields, ',') .. '}}'
end
