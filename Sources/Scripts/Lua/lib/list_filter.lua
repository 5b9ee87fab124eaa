-- Which sessions a list shows, and how much of them.
-- USES: batch, links, session_users, session_changes, session_fields
-- GIVES: filter_of, passes, only_fields, field_names, with_fields

-- Whether a state is one of those in a list with commas.
local function is_among(state, list)
  return type(state) == 'string' and find(',' .. list .. ',', ',' .. state .. ',', 1, true)
end

-- A filter: states with commas, the kind and the ref of a link, the first time and the one behind
-- the last, whether these are of a session's making (`created`) or its activity (`active`), and the
-- users to whose sessions the request is limited; `-` for what does not matter. Nil if nothing
-- does.
local function filter_of(line)
  if line == '' then return nil end
  local states, kind, ref, since, before, by, users = string.match(line,
    '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
  return {states = states ~= '-' and states, kind = kind ~= '-' and kind, ref = ref,
    since = tonumber(since), before = tonumber(before), by = by,
    users = users ~= '-' and users or ''}
end

-- Whether a session passes, by the members `links`, `state`, `created` and `active` of its record;
-- a record of another type passes no filter.
local function passes(filter, seen)
  if not filter then return true end
  if seen.err or filter.states and not is_among(seen[2], filter.states) then return false end
  if not is_of_users(filter.users, seen[1]) then return false end
  if filter.kind and not has_link({links = seen[1] or ''}, filter.kind, filter.ref) then
    return false
  end
  local at = tonumber(seen[filter.by == 'active' and 4 or 3] or '')
  return not (filter.since and not (at and at >= filter.since)
    or filter.before and not (at and at < filter.before))
end

-- The members of a record, names and values in turn, with those of the fields that are asked for:
-- their names as JSON, parts, or `none`; empty for all.
local fields_asked, fields_wanted
local function only_fields(flat, fields)
  if fields == '' or flat.err then return flat end
  if fields_asked ~= fields then
    fields_asked, fields_wanted = fields, {}
    local names = fields == 'none' and {} or parts(fields)
    for _, name in ipairs(names) do fields_wanted['f:' .. name] = true end
  end
  local kept = {}
  for n = 1, #flat, 2 do
    if cut(flat[n], 1, 2) ~= 'f:' or fields_wanted[flat[n]] then
      kept[#kept + 1], kept[#kept + 2] = flat[n], flat[n + 1]
    end
  end
  return kept
end

-- The members of a record that are fields, those that are asked for, in order.
local function field_names(key, fields)
  local flat = {}
  for _, name in ipairs(attempt('HKEYS', key)) do flat[#flat + 1], flat[#flat + 2] = name, '' end
  local names, wanted = {}, only_fields(flat, fields)
  for n = 1, #wanted, 2 do
    if cut(wanted[n], 1, 2) == 'f:' then names[#names + 1] = wanted[n] end
  end
  table.sort(names)
  return names
end

-- What `only_fields` gives of a large record, where some fields are asked for; nil if they are too
-- many bytes for one reply.
local FIELDS_BYTES = 1048576
local function with_fields(key, fields)
  if fields == '' then return nil end
  local flat, size = without_fields(key), 0
  for _, name in ipairs(not flat.err and field_names(key, fields) or {}) do
    local value = call('HGET', key, name)
    flat[#flat + 1], flat[#flat + 2], size = name, value, size + #value
    if size > FIELDS_BYTES then return nil end
  end
  return flat
end
