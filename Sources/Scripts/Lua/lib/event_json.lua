-- How an event that is read becomes JSON. Its id in the protocol is the stream's with the
-- partition's tag before it: unique in all partitions.
-- USES: nothing
-- GIVES: as_json, is_wanted

local function as_json(base, id, fields)
  local event = {}
  for i = 1, #fields, 2 do event[fields[i]] = fields[i + 1] end
  return string.format('{"id":"%s-%s","type":"%s","device":"%s",',
    string.match(base, '{(%x+)}$'), id, event.t, event.d) .. event.b .. '}', event.t, event.d
end

local function is_wanted(kind, wanted)
  return wanted == '' or string.find(',' .. wanted .. ',', ',' .. kind .. ',', 1, true)
end
