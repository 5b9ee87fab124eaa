-- The keys of the hooks, in the first partition: their definitions by name, and their figures. A
-- field of these is `<figure> <name>`, or of one worker `way <worker> <name>`.
-- USES: batch
-- GIVES: hook_keys

local function definitions_of(base) return base .. ':hooks' end
local function figures_of(base) return base .. ':hook_figures' end

-- Removes the figures of a hook.
local function forget_hook(base, name)
  local fields = attempt('HKEYS', figures_of(base))
  for _, field in ipairs(fields.err and {} or fields) do
    if string.match(field, '([^ ]+)$') == name then call('HDEL', figures_of(base), field) end
  end
end

local hook_keys = {definitions = definitions_of, figures = figures_of, forget = forget_hook}
