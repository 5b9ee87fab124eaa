-- The entries that a call of `read_hook` gives: so many, and so many bytes, in all.
-- USES: batch, group_pending
-- GIVES: hook_entries

-- So many are read at once, and as many as have room, if each has a note.
local HOOK_BYTES, HOOK_STEP_MAX, HOOK_ENTRY_BYTES = 1048576, 16, 65536

-- How many more may be given, and how many bytes.
local entries_left, bytes_left

local function begin_entries(limit) entries_left, bytes_left = limit, HOOK_BYTES end
local function is_given() return entries_left <= 0 or bytes_left <= 0 end

local function give_entry(list, entry)
  list[#list + 1] = entry
  entries_left = entries_left - 1
  bytes_left = bytes_left - 64
  for _, field in ipairs(entry[2]) do bytes_left = bytes_left - #field end
end

-- Gives those that are pending, in the worker's name; one that was trimmed is done.
local function give_pending(log, reading, pending, list)
  local claimed = {}
  for _, item in ipairs(pending) do
    if is_given() then break end
    local entry = call('XRANGE', log, item.id, item.id)[1]
    if entry then
      give_entry(list, entry)
      claimed[#claimed + 1] = item.id
    else
      call('XACK', log, reading.group, item.id)
    end
  end
  claim(log, reading.group, reading.worker, claimed)
end

-- Gives new ones; true if there are no more.
local function give_new(log, reading, list)
  while not is_given() do
    local room = math.floor(bytes_left / HOOK_ENTRY_BYTES)
    local count = math.max(1, math.min(HOOK_STEP_MAX, entries_left, room))
    local fresh = call('XREADGROUP', 'GROUP', reading.group, reading.worker, 'COUNT', count,
      'STREAMS', log, '>')
    if not fresh then return true end
    for _, entry in ipairs(fresh[1][2]) do give_entry(list, entry) end
    if #fresh[1][2] < count then return true end
  end
  return false
end

local hook_entries = {begin = begin_entries, is_full = is_given, again = give_pending,
  fresh = give_new}
