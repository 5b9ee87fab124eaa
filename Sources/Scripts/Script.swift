// Owns: the list of Lua scripts and how each one's text is put together. docs/keys.md says what
// they write. A value; any thread.

/// One Lua script: an atomic operation, run by Redis.
package enum Script: Int, CaseIterable, Sendable {
  case lock, renew, unlock, handoff, seize, clear, holder
  case open, get, set, touch, move, recover, recoverLatest, delete, listDevice
  case chat, switchChat, chats, say, history, pop, forget
  case link, unlink, standing, linkReserve, linkSettle, linkDone
  case linkPage, sessionPage, entry, digest, reportSession
  case export, `import`
  case events, take, ack, tails
  case stats, reportAgent
  case hello, heartbeat, goodbye, reap, trim

  /// The file's name without its ending.
  package var name: String {
    "\(self)".reduce(into: "") { name, letter in
      name += letter.isUppercase ? "_\(letter.lowercased())" : String(letter)
    }
  }

  /// How many arguments one request has; 0 for scripts that serve one request a call.
  package var argumentsPerRequest: Int {
    switch self {
    case .holder: 1
    case .lock, .renew, .clear, .get, .chats, .sessionPage, .reportSession: 2
    case .events, .linkPage: 3
    case .unlock, .seize, .touch, .recover, .delete, .listDevice, .standing, .linkReserve,
      .linkSettle, .digest:
      4
    case .export: 3
    case .switchChat, .history, .pop, .forget, .entry: 5
    case .chat, .say, .unlink: 6
    case .handoff, .move, .link, .import: 7
    case .set: 8
    case .open: 10
    case .recoverLatest: 11
    case .take, .ack, .tails, .stats, .reportAgent, .hello, .heartbeat, .goodbye, .reap, .trim,
      .linkDone:
      0
    }
  }

  /// Whether its keys are the records of its requests' locks; else they are the base keys of their
  /// partitions.
  package var keysAreRecords: Bool { self == .lock || self == .renew }

  /// Whether it only reads: then no answer means that nothing was done.
  package var isReadOnly: Bool {
    switch self {
    case .holder, .events, .tails, .stats, .reportAgent, .get, .chats, .history, .listDevice,
      .standing, .linkPage, .sessionPage, .entry, .digest, .reportSession, .export:
      true
    case .lock, .renew, .unlock, .handoff, .seize, .clear, .open, .set, .touch, .move, .recover,
      .recoverLatest, .delete, .chat, .switchChat, .say, .pop, .forget, .link, .unlink,
      .linkReserve, .linkSettle, .linkDone, .import, .take, .ack, .hello, .heartbeat, .goodbye,
      .reap,
      .trim:
      false
    }
  }

  /// Whether it may run in a Redis that is full: what renews, frees or reaps may.
  package var isAllowedWhenFull: Bool {
    switch self {
    case .renew, .unlock, .clear, .delete, .pop, .forget, .move, .unlink, .linkSettle, .linkDone,
      .take, .ack, .hello, .heartbeat, .goodbye, .reap, .trim:
      true
    case .lock, .handoff, .seize, .open, .set, .touch, .recover, .recoverLatest, .chat,
      .switchChat, .say, .link, .linkReserve, .import:
      false
    case .holder, .events, .tails, .stats, .reportAgent, .get, .chats, .history, .listDevice,
      .standing, .linkPage, .sessionPage, .entry, .digest, .reportSession, .export:
      false
    }
  }

  private var body: [UInt8] {
    switch self {
    case .lock: PackageResources.lock_lua
    case .renew: PackageResources.renew_lua
    case .unlock: PackageResources.unlock_lua
    case .handoff: PackageResources.handoff_lua
    case .seize: PackageResources.seize_lua
    case .clear: PackageResources.clear_lua
    case .holder: PackageResources.holder_lua
    case .open: PackageResources.open_lua
    case .get: PackageResources.get_lua
    case .set: PackageResources.set_lua
    case .touch: PackageResources.touch_lua
    case .move: PackageResources.move_lua
    case .recover: PackageResources.recover_lua
    case .recoverLatest: PackageResources.recover_latest_lua
    case .delete: PackageResources.delete_lua
    case .chat: PackageResources.chat_lua
    case .switchChat: PackageResources.switch_chat_lua
    case .chats: PackageResources.chats_lua
    case .say: PackageResources.say_lua
    case .history: PackageResources.history_lua
    case .pop: PackageResources.pop_lua
    case .forget: PackageResources.forget_lua
    case .listDevice: PackageResources.list_device_lua
    case .link: PackageResources.link_lua
    case .unlink: PackageResources.unlink_lua
    case .standing: PackageResources.standing_lua
    case .linkReserve: PackageResources.link_reserve_lua
    case .linkSettle: PackageResources.link_settle_lua
    case .linkDone: PackageResources.link_done_lua
    case .linkPage: PackageResources.link_page_lua
    case .sessionPage: PackageResources.session_page_lua
    case .entry: PackageResources.entry_lua
    case .digest: PackageResources.digest_lua
    case .reportSession: PackageResources.report_session_lua
    case .export: PackageResources.export_lua
    case .import: PackageResources.import_lua
    case .events: PackageResources.events_lua
    case .take: PackageResources.take_lua
    case .ack: PackageResources.ack_lua
    case .tails: PackageResources.tails_lua
    case .stats: PackageResources.stats_lua
    case .reportAgent: PackageResources.report_agent_lua
    case .hello: PackageResources.hello_lua
    case .heartbeat: PackageResources.heartbeat_lua
    case .goodbye: PackageResources.goodbye_lua
    case .trim: PackageResources.trim_lua
    case .reap: PackageResources.reap_lua
    }
  }

  private static let lockParts: [[UInt8]] = [
    PackageResources.batch_lua, PackageResources.tell_lua, PackageResources.lock_records_lua,
    PackageResources.endings_lua, PackageResources.locks_lua,
  ]

  private static let sessionOpening: [[UInt8]] = [
    PackageResources.batch_lua, PackageResources.tell_lua, PackageResources.lock_records_lua,
  ]

  private static let sessionParts: [[UInt8]] = [
    PackageResources.sessions_lua, PackageResources.loading_lua, PackageResources.links_lua,
    PackageResources.clocks_lua, PackageResources.moves_lua, PackageResources.leavings_lua,
    PackageResources.records_lua, PackageResources.changes_lua, PackageResources.merge_lua,
    PackageResources.messages_lua, PackageResources.making_lua,
  ]

  private var parts: [[UInt8]] {
    switch self {
    case .hello, .heartbeat, .goodbye, .ack, .tails, .stats, .reportAgent, .linkDone: [body]
    case .trim, .linkReserve, .linkSettle, .linkPage, .sessionPage:
      [PackageResources.batch_lua, body]
    case .holder: [PackageResources.batch_lua, PackageResources.lock_records_lua, body]
    case .events, .take: [PackageResources.batch_lua, PackageResources.event_lines_lua, body]
    case .lock, .renew: Script.lockParts + [PackageResources.renewals_lua, body]
    case .unlock, .handoff, .seize, .clear: Script.lockParts + [body]
    case .reap: Script.lockParts + Script.sessionParts + [body]
    case .open, .get, .set, .touch, .move, .recover, .recoverLatest, .delete, .listDevice, .chat,
      .switchChat, .chats, .say, .history, .pop, .forget, .link, .unlink, .standing, .entry,
      .digest, .reportSession, .export:
      Script.sessionOpening + Script.sessionParts + [body]
    case .import:
      Script.sessionOpening + Script.sessionParts + [PackageResources.arrivals_lua, body]
    }
  }

  /// The whole text for Redis.
  ///
  /// From Redis 7 on the first line declares what the script may do, so that a Redis that is full
  /// or read-only refuses it before it has written anything. Older ones would not compile it.
  package func text(_ constants: ScriptConstants, redisMajor: Int) -> [UInt8] {
    var text: [UInt8] = []
    if redisMajor >= 7 {
      let flags = isReadOnly ? " flags=no-writes" : isAllowedWhenFull ? " flags=allow-oom" : ""
      text += Array("#!lua\(flags)\n".utf8)
    }
    text += Array(constants.lua.utf8)
    for part in parts { text += part }
    return text
  }
}

/// What the operator has set that scripts need; written into their text when they are loaded.
package struct ScriptConstants: Hashable, Sendable {
  /// How long the reply to a request with `req=` is kept, in ms.
  package var reqKeepMs: Int64
  /// About how many events a partition's log keeps.
  package var eventsMax: Int
  /// How many agents a partition keeps figures of; the rest share one entry.
  package var agentsMax = 1_000

  package init(reqKeepMs: Int64, eventsMax: Int) {
    self.reqKeepMs = reqKeepMs
    self.eventsMax = eventsMax
  }

  /// The most live sessions of a device.
  package var sessionsMax = 50
  /// The most chats of a session.
  package var chatsMax = 20
  /// The most messages of a chat; the oldest go.
  package var messagesMax = 1_000
  /// The most fields of a session.
  package var fieldsMax = 128
  /// The most links of a session.
  package var linksMax = 128

  fileprivate var lua: String {
    """
    local REQ_KEEP_MS, EVENTS_MAX, AGENTS_MAX = \(reqKeepMs), \(eventsMax), \(agentsMax)
    local SESSIONS_MAX, CHATS_MAX, MESSAGES_MAX = \(sessionsMax), \(chatsMax), \(messagesMax)
    local FIELDS_MAX, LINKS_MAX = \(fieldsMax), \(linksMax)

    """
  }
}
