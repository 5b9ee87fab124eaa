// Owns: the list of Lua scripts and how each one's text is put together. docs/keys.md says what
// they write. A value; any thread.

/// One Lua script: an atomic operation, run by Redis.
package enum Script: Int, CaseIterable, Sendable {
  case lock, renew, unlock, handoff, seize, clear, holder
  case open, get, set, touch, move, recover, recoverLatest, delete, listDevice
  case chat, switchChat, chats, say, history, pop, forget
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
    case .lock, .renew, .switchChat, .history, .pop, .forget: 5
    case .unlock, .seize, .touch, .recover, .delete, .listDevice: 4
    case .handoff, .move: 7
    case .clear, .get, .chats: 2
    case .open: 8
    case .recoverLatest: 9
    case .set, .chat, .say: 6
    case .holder: 1
    case .events: 3
    case .take, .ack, .tails, .stats, .reportAgent, .hello, .heartbeat, .goodbye, .reap, .trim: 0
    }
  }

  /// Whether it only reads: then no answer means that nothing was done.
  package var isReadOnly: Bool {
    switch self {
    case .holder, .events, .tails, .stats, .reportAgent, .get, .chats, .history, .listDevice: true
    case .open, .set, .touch, .move, .recover, .recoverLatest, .delete, .chat, .switchChat, .say,
      .pop, .forget:
      false
    case .lock, .renew, .unlock, .handoff, .seize, .clear, .take, .ack, .hello, .heartbeat,
      .goodbye, .reap, .trim:
      false
    }
  }

  /// Whether it may run in a Redis that is full: what renews, frees or reaps may.
  package var isAllowedWhenFull: Bool {
    switch self {
    case .delete, .pop, .forget, .move: true
    case .open, .get, .set, .touch, .recover, .recoverLatest, .listDevice, .chat, .switchChat,
      .chats, .say, .history:
      false
    case .renew, .unlock, .clear, .take, .ack, .hello, .heartbeat, .goodbye, .reap, .trim: true
    case .lock, .handoff, .seize, .holder, .events, .tails, .stats, .reportAgent: false
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

  private static let sessionParts: [[UInt8]] = [
    PackageResources.sessions_lua, PackageResources.clocks_lua, PackageResources.moves_lua,
    PackageResources.leavings_lua, PackageResources.records_lua, PackageResources.changes_lua,
    PackageResources.merge_lua, PackageResources.messages_lua,
    PackageResources.making_lua,
  ]

  private var parts: [[UInt8]] {
    switch self {
    case .hello, .heartbeat, .goodbye, .ack, .tails, .stats, .reportAgent: [body]
    case .holder, .trim: [PackageResources.batch_lua, body]
    case .events, .take: [PackageResources.batch_lua, PackageResources.event_lines_lua, body]
    case .lock, .renew, .unlock, .handoff, .seize, .clear:
      [PackageResources.batch_lua, PackageResources.tell_lua, PackageResources.endings_lua]
        + [PackageResources.locks_lua, body]
    case .reap:
      [PackageResources.batch_lua, PackageResources.tell_lua, PackageResources.endings_lua]
        + Script.sessionParts + [body]
    case .open, .get, .set, .touch, .move, .recover, .recoverLatest, .delete, .listDevice, .chat,
      .switchChat, .chats, .say, .history, .pop, .forget:
      [PackageResources.batch_lua, PackageResources.tell_lua] + Script.sessionParts + [body]
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

  fileprivate var lua: String {
    """
    local REQ_KEEP_MS, EVENTS_MAX, AGENTS_MAX = \(reqKeepMs), \(eventsMax), \(agentsMax)
    local SESSIONS_MAX, CHATS_MAX, MESSAGES_MAX = \(sessionsMax), \(chatsMax), \(messagesMax)
    local FIELDS_MAX = \(fieldsMax)

    """
  }
}
