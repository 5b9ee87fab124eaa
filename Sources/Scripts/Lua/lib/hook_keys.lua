-- The keys of the hooks, in the first partition: their definitions by name, and their figures. A
-- field of these is `<figure> <name>`, or of one worker `way <worker> <name>`. And the revision of
-- the latest change of a definition.
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

-- The revision of a change, as text: larger than all before it, by the clock, so that it is so even
-- where the key was lost, and by the key, so that it is so when the clock was set back. `former` is
-- that of the definition which is replaced, or nil.
local function next_revision(base, former)
  local key = base .. ':hook_revision'
  local kept, last = attempt('GET', key), tonumber(former) or 0
  if type(kept) == 'string' and #kept <= 16 and find(kept, '^%d+$') then
    last = math.max(last, tonumber(kept))
  end
  local revision = text(math.max(now_us, last + 1))
  call('SET', key, revision)
  return revision
end

local hook_keys = {definitions = definitions_of, figures = figures_of, forget = forget_hook,
  next_revision = next_revision}
