-- How far a page of a device's list is, which several calls read: each goes on where the one before
-- it ended, with what that said of the page so far.
-- USES: batch
-- GIVES: LIST_LOOKS_MAX, begin_list, look_at, text_of_list

-- A page ends when so many sessions were looked at. The requests of one call look at so many
-- together, or each at so few: most devices have no more.
local LIST_LOOKS_MAX, CALL_LOOKS, REQUEST_LOOKS = 1000, 200, 50
local looked_in_call, looked_in = 0, 0

-- A page by the text that the call before gave: how many sessions were looked at, how many bytes
-- those have that are shown, and the last of these; `most`: how many this request looks at. Without
-- a text it looks at all of the page's.
local function begin_list(so_far)
  if looked_in ~= call_number then looked_in, looked_in_call = call_number, 0 end
  local looked, size, last = string.match(so_far, '^(%d+) (%d+) (.*)$')
  looked, size = tonumber(looked or 0), tonumber(size or 0)
  local most = LIST_LOOKS_MAX - looked
  local rest = math.max(REQUEST_LOOKS, CALL_LOOKS - looked_in_call)
  if so_far ~= '' then most = math.min(most, rest) end
  return {looked = looked, size = size, last = last ~= '' and last or nil, most = most}
end

-- Counts one more session as looked at.
local function look_at(page)
  page.looked, looked_in_call = page.looked + 1, looked_in_call + 1
end

local function text_of_list(page)
  return text(page.looked) .. ' ' .. text(page.size) .. ' ' .. (page.last or '')
end
