-- IMPORT: makes a session as it was exported, or replaces one. A time that is ahead counts as now:
-- the clock where it was exported may be ahead. Activity would bring such a deadline nearer, and
-- the index, which is written only where a deadline moves away, would be behind. `fields` are names
-- and values of the record in turn, `messages` four parts each: chat, number, time and JSON,
-- `documents` five: key, revision, time, deadline and JSON. Of a large session these were written
-- aside before, by `import_part`, as was what its fields have: `stage` is the parts' name, a space,
-- and how many there are. Behind the session's id stand the users to whose sessions the request is
-- limited.
-- USES: batch, session_users, activity, changes, ledger, requests, session_index, session_load,
--   links, link_changes, clocks, transitions, session_json, session_changes, merge, live_quota,
--   reservations, import_checks, import_stage, removal, device_lines, device_current, log_quota,
--   policies, documents
-- KEYS: the base key of each request's partition
-- ARGV: device, session, is_replacing?, fields, messages?, documents?, stage?, fleet?, reserved?,
--   token?, req?
-- RETURNS: OK, NONE, STALE, ERR, MORE, LARGE
return each(function(base, device, session, is_replacing, fields, messages, documents, stage,
    fleet, reserved, token)
  local asked, users = session, nil
  session, users = split_users(session)
  fields = with_owner(parts(fields), owner_in(fleet))
  local key, v = base .. ':session:' .. device .. '/' .. session, in_the_past(fields)
  -- It would be the latest session of its device for ever.
  if made_at(session) > now_ms + 60000 then
    return 'ERR bad_request IMPORT: the time of session ' .. session .. ' is more than 1 min ahead'
  end
  local ok, old = pcall(load, base, device, asked)
  local is_bad = not ok and is_corrupt(old)
  if not ok and not is_bad then error(old, 0) end
  -- The id is another user's session's: it is neither made nor replaced.
  if ok and not old and users ~= '' and call('EXISTS', key) == 1 then return 'NONE' end
  if old and is_replacing == '' then
    return 'ERR illegal_state IMPORT: the session is there already; replace=yes overwrites it'
  end
  if is_bad then old = nil elseif old then settle(old) else remove_stale(base, device, session) end
  local refusal = fence(old or {base = base, device = device, rev = 0, users = users}, token)
  refusal = refusal or not old and log_refusal(base, device) or old and keep_others(old, v, fields)
  local staged = stage ~= '' and staged_whole(base, device, stage)
  refusal = refusal or staged == nil and 'ERR overloaded IMPORT took too long; retry'
  if refusal then return refusal end
  -- An index of another type fails it here, where nothing was done.
  call('ZSCORE', base .. ':sessions', device .. '/' .. session)
  local over = over_at(v)
  if over and over <= now_ms then
    return 'ERR illegal_state IMPORT: the session was kept until ' .. text(over)
  end
  local was_live = is_bad and is_counted(base, device, session) or old and LIVE[old.state]
  local policy, list = policy_of(v.policy), reservations_of(v.links or '')
  local refused = LIVE[v.state] and not was_live
    and room_to_live(base, device, session, policy, list, reserved, fleet, users)
    or unreserved(session, v.state, list, reserved, policy)
    or is_bad and remove_corrupt(base, device, asked, token)
  if refused and refused ~= 'OK' then return refused end
  if old then
    count_session(old, -1)
    call('UNLINK', unpack(keys_of(old)))
    regardless(call, 'ZREM', base .. ':due', due_member(old))
    enqueue_links(old, old.links)
    push(base, device, 'session.changed', session, nil, ',"rev":%s,"members":null', v.rev)
    push(base, device, 'roles', session, nil, '')
  end
  write_record(base, device, session, fields, staged, chats_of(v.chats))
  local s = load(base, device, session)
  forget_removed(s)
  restore_messages(s, parts(messages))
  restore_documents(s, parts(documents))
  call('ZADD', base .. ':sessions', 0, device .. '/' .. session)
  index_activity(base, device, session, s.active)
  regardless(arrive, base, device, session, LIVE[s.state])
  count_session(s, 1)
  set_ttl(s, gone_by(s))
  if not old then
    count(base, 'opened', 1)
    announce(s, 'opened', now_ms)
  end
  index(s)
  enqueue_links(s, s.links)
  return record(s)
end, show_again)
