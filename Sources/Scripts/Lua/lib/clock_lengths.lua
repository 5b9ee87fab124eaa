-- The lengths of a session's clocks as a request gives them.
-- USES: batch
-- GIVES: with_life

-- A life that ends at a moment has no less time left than this, and no greater length.
local LIFE_LEAST_MS, LIFE_MOST_MS = 10, 315360000000

-- A line of lengths in which `@<ms>` may stand for the length of life: the moment at which it ends,
-- having begun at `born`. Returns the line with the length, or nil and a refusal.
local function with_life(line, born)
  local digits = string.match(line, '@(%d+)')
  if not digits then return line end
  local at = tonumber(digits)
  if at < now_ms + LIFE_LEAST_MS or at - born > LIFE_MOST_MS then
    return nil, 'ERR bad_request expires_at=' .. digits .. ': the time is ' .. now_text
      .. ' ms; a moment up to 3650d ahead is needed'
  end
  return (string.gsub(line, '@%d+', text(at - born)))
end
