-- How the answers in a chat are counted.
-- USES: batch, numbers, messages
-- GIVES: chat_figures

-- The figures of a record that messages change, as names and values in turn. Those that are corrupt
-- begin again.
local function chat_figures(number, messages, asked_at, answered_n, answered_ms)
  local was_asked = whole(asked_at)
  local writes, asked, answers, ms = {}, answers_in(messages, was_asked)
  if asked ~= was_asked then writes = {'t:' .. number, asked and now_text or ''} end
  if answers > 0 then
    writes[#writes + 1] = 'answers'
    writes[#writes + 1] = text((whole(answered_n) or 0) + answers)
    writes[#writes + 1] = 'answer_ms'
    writes[#writes + 1] = text((whole(answered_ms) or 0) + ms)
  end
  return writes
end
