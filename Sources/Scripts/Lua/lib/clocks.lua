-- The effects of a session's clocks when they end, in the order of their times.
-- USES: batch, changes, event_log, session_index, numbers, links
-- GIVES: LETTERS, due_member, announce, announce_deleted, set_ttl, gone_by, next_due,
--   is_quiet

-- A session's member in the deadline index begins with its state's letter: when the record has gone
-- by its TTL, only that letter shows in which count it was. One text and one function: parts that a
-- call does not use cost it something too, since they are made anew each time.
local LETTERS = 'active=a paused=p abandoned=b archived=z completed=c failed=f expired=e'
local function due_member(s)
  local letter = s.state == 'active' and 'a' or string.match(LETTERS, s.state .. '=(%l)')
  return letter .. ':' .. s.device .. '/' .. s.id
end

local function announce(s, kind, at_ms, rest)
  local reason = s.reason or call('HGET', s.key, 'reason')
  publish(s.base, 'session.' .. kind, s.device, '"at":' .. text(at_ms)
    .. ',"session":"' .. s.id .. '","state":"' .. s.state .. '","reason":' .. (reason or 'null')
    .. ',"links":' .. links_json(s.links) .. (rest or ''))
  -- Watchers have the event; reads that wait look again.
  push(s.base, s.device, 'log', s.id, nil, '')
end

-- The log keeps no content of what was deleted.
local function announce_deleted(s)
  publish(s.base, 'session.deleted', s.device, string.format(
    '"at":%.0f,"session":"%s","state":"%s","reason":null,"links":{}', now_ms, s.id, s.state))
  push(s.base, s.device, 'log', s.id, nil, '')
end

-- Gives the keys of a session the time at which they go; nil keeps them.
local function set_ttl(s, at_ms)
  for _, key in ipairs(keys_of(s)) do
    if at_ms then call('PEXPIREAT', key, text(at_ms)) else call('PERSIST', key) end
  end
end

-- The time by which a session is gone even without any worker; nil if its clocks do not say.
local function gone_by(s)
  if keep_until(s) then return keep_until(s) end
  local clocks = s.clocks
  local archive, life = clocks.archive, clocks.life
  if s.state == 'abandoned' then return archive > 0 and s.since + archive + clocks.keep or nil end
  if life == 0 or (clocks.abandon > 0 and archive == 0) then return nil end
  return s.born + life + archive + clocks.keep
end

-- The next moment at which the session's clocks have an effect, and the effect: a state, or a
-- warning.
local function next_due(s)
  if s.state == 'abandoned' then
    local archive = s.clocks.archive
    return archive > 0 and s.since + archive or nil, 'archived'
  end
  if keep_until(s) then return keep_until(s), 'gone' end
  local at, what = abandon_at(s), 'abandoned'
  local life, idle = life_at(s), idle_at(s)
  if life and (not at or life < at) then at, what = life, 'expired' end
  if idle and (not at or idle < at) then at, what = idle, 'paused' end
  local warn = s.clocks.warn
  if warn > 0 then
    local warned = numbers_of(s.warned)
    if idle and warn < s.clocks.idle and warned[1] ~= idle and idle - warn < at then
      at, what = idle - warn, 'idle'
    end
    if life and warn < s.clocks.life and warned[2] ~= life and life - warn < at then
      at, what = life - warn, 'life'
    end
  end
  return at, what
end

-- Whether no clock of an active session has an effect now, nor a warning; its times are as in its
-- record. The same as by `next_due`, without a session.
local function is_quiet(clocks, active, born)
  local idle, abandon, life = clocks.idle, clocks.abandon, clocks.life
  local warned = now_ms + clocks.warn
  return not (idle > 0 and active + idle <= warned or abandon > 0 and active + abandon <= now_ms
    or life > 0 and born + life <= warned)
end
