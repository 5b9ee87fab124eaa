-- The messages that a turn has said, as its event has them.
-- USES: batch
-- GIVES: said_members

-- Of very many the newest.
local SEQS_MAX = 1000

-- Numbers, the newest first, as a JSON array in their order.
local function array_of(numbers)
  local list = {}
  for n = #numbers, 1, -1 do list[#list + 1] = text(numbers[n]) end
  return '[' .. table.concat(list, ',') .. ']'
end

-- Members with the numbers of the messages: `seqs` of those in the turn's own chat, and `also` of
-- those in others, if there are any.
local function said_members(t)
  local own, runs = t.session .. '/' .. text(t.chat), {}
  for at, first, last in string.gmatch(t.said, '(%S+) (%d+) (%d+)\n') do
    runs[#runs + 1] = {at, tonumber(first), tonumber(last)}
  end
  local seqs, others, left, n = {[own] = {}}, {}, SEQS_MAX, #runs
  while n > 0 and left > 0 do
    local at, first, last = unpack(runs[n])
    if not seqs[at] then others[#others + 1], seqs[at] = at, {} end
    local list = seqs[at]
    for seq = last, math.max(first, last - left + 1), -1 do list[#list + 1] = seq end
    left, n = left - math.min(left, last - first + 1), n - 1
  end
  local also = {}
  for place = #others, 1, -1 do
    local session, chat = string.match(others[place], '^(.*)/(.*)$')
    also[#also + 1] = '{"session":"' .. session .. '","chat":' .. chat .. ',"seqs":'
      .. array_of(seqs[others[place]]) .. '}'
  end
  return '"seqs":' .. array_of(seqs[own])
    .. (#also > 0 and ',"also":[' .. table.concat(also, ',') .. ']' or '')
end
