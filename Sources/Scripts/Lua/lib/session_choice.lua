-- Which of a device's sessions RECOVER and TURN take. Of all that were closed meanwhile a thousand
-- are looked at.
-- USES: batch, session_index, session_users, session_load, links, transitions, device_lines,
--   cleanup
-- RARELY: has_link, is_of_users
-- GIVES: choose, choose_of_user
local CANDIDATES_MAX, CANDIDATES_STEP = 1000, 64

-- The reason why a session does not count for this user and thread (JSON), either of which may be
-- empty; or nil.
local function unfit(s, user, thread)
  if user ~= '' and not has_link(s, 'user', user) then return 'other_user' end
  if thread == '' then return nil end
  local own = call('HGET', s.key, 'thread') or '"' .. s.id .. '"'
  return thread ~= own and 'elsewhere' or nil
end

-- A candidate that can be recovered; or nil and why not.
local function candidate(base, device, id, user, thread, more)
  -- A corrupt one does not keep others from being recovered.
  local ok, s = pcall(load, base, device, id, more)
  if not ok or not s then return nil, 'gone' end
  settle(s)
  if s.is_gone then return nil, 'gone' end
  local why = unfit(s, user, thread)
  if why then return nil, why end
  if not recoverable(s) then return nil, 'ended' end
  return s
end

-- Whether a session may be a candidate, by three members of its record: of a device's sessions most
-- have ended, or are others', and to load each takes four times as long.
local function may_fit(base, device, id, users, user, thread)
  local seen = peek(base, device, id, 'state', 'links', 'thread')
  if not (LIVE[seen[1]] or seen[1] == 'abandoned') then return false end
  if not is_of_users(users, seen[2]) then return false end
  if user ~= '' and not has_link({links = seen[2] or ''}, 'user', user) then return false end
  return thread == '' or thread == (seen[3] or '"' .. id .. '"')
end

-- The user and the thread (JSON) that count, of what a new session is made of: empty for any. Its
-- own id is no thread to look for.
local function sought(id, thread, links)
  if thread == '"' .. id .. '"' then thread = '' end
  return string.match('\n' .. links, '\nuser (%S+)') or '', thread
end

-- The hinted session if it can be recovered, else the latest that can, else nil; how it was found,
-- and why the hint was not taken. It is not recovered yet. `links` are those of a new one, of which
-- the user counts, `thread` that of a new one, and `session` its id, with the users behind it to
-- whose sessions the request is limited.
local function choose(base, device, hint, session, thread, links)
  local id, users = split_users(session)
  local user, s, why
  user, thread = sought(id, thread, links)
  if hint ~= '' then
    s, why = candidate(base, device, hint .. users, user, thread, 'record')
    if s then return s, 'hint' end
  end
  -- Most often the first one is it, unless only some count: its record is read whole, as its reply
  -- shows it.
  local from, left, step, more = '', CANDIDATES_MAX, 1, user .. thread == '' and 'record' or nil
  while left > 0 do
    local ids = ids_of(base, device, from, step)
    for n = 1, #ids do
      if from == '' or may_fit(base, device, ids[n], users, user, thread) then
        s = candidate(base, device, ids[n] .. users, user, thread, more)
        if s then return s, 'latest', why end
      end
    end
    if #ids < step then break end
    from, left, more = ids[#ids], left - step, nil
    step = math.min(step * 8, CANDIDATES_STEP, left)
  end
  return nil, 'new', why
end

-- The session with the id of a new one, if a user's sessions can be recovered by it, and `latest`;
-- nil and `new` where it is to be made (`of_user`) and is not there; else nil: it has ended.
local function choose_of_user(base, device, of_user, session, thread, links)
  local id = split_users(session)
  local user, asked = sought(id, thread, links)
  local s, why = candidate(base, device, session, user, asked, 'record')
  if s then return s, 'latest' end
  local is_new = of_user == 'new' and why == 'gone'
    and call('EXISTS', base .. ':session:' .. device .. '/' .. id) == 0
  return nil, is_new and 'new' or nil
end
