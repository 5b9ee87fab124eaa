-- REPORT of a session: its age, its messages, how long answers took, and for how long it was in
-- each state.
-- USES: batch, session_load, session_json
-- KEYS: the base key of each request's partition
-- ARGV: device, session or empty
-- RETURNS: OK, NONE
return each(2, function(base, i)
  local s = load(base, ARGV[i], ARGV[i + 1])
  if not s then return 'NONE' end
  local flat, v, spent, said = call('HGETALL', s.key), {}, {}, 0
  for n = 1, #flat, 2 do
    local name, value = flat[n], flat[n + 1]
    v[name] = value
    if string.sub(name, 1, 2) == 's:' then spent[string.sub(name, 3)] = tonumber(value) end
    if string.sub(name, 1, 2) == 'q:' then said = said + value end
  end
  spent[s.state] = (spent[s.state] or 0) + math.max(0, now_ms - s.since)
  local states = {}
  for state, ms in pairs(spent) do
    states[#states + 1] = string.format('"%s":%.0f', state, ms)
  end
  table.sort(states)
  local answers = tonumber(v.answers or 0)
  return string.format('OK {"session":"%s","device":"%s","state":"%s","age_ms":%.0f,'
    .. '"active_at":%.0f,"chats":%d,"messages":%d,"said":%.0f,"answers":%d,"answer_ms_mean":%s,'
    .. '"states":{%s}}', s.id, s.device, s.state, math.max(0, now_ms - s.created), s.active,
    s.chats, messages_in(s), said, answers,
    answers > 0 and string.format('%.0f', v.answer_ms / answers) or 'null',
    table.concat(states, ','))
end)
