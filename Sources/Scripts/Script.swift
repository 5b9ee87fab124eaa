// Owns: the list of Lua scripts, and the table of what each takes and may do. docs/keys.md says
// what they write. A value; any thread.

/// One Lua script: an atomic operation, run by Redis.
package enum Script: Int, CaseIterable, Sendable {
  case lock, renew, unlock, handoff, seize, clear, holder
  case open, get, set, touch, changeState, recover, recoverLatest, delete, listDevice
  case chat, switchChat, chats, getChat, setChat, deleteChat, reportChat
  case say, history, pop, forget
  case link, unlink, linkStatus, linkReserve, linkSettle, linkDone
  case linkPage, sessionPage, entry, digest, reportSession
  case export, `import`
  case events, readGroup, transferPending, ack, tails
  case stats, reportAgent
  case hello, heartbeat, deregister, staleLibraries, reap, trim

  package var row: ScriptRow { ScriptRow.table[rawValue] }

  /// The file's name without its ending.
  package var name: String { row.source.name }

  /// How many arguments one request has; 0 for scripts that serve one request a call.
  package var argumentsPerRequest: Int { row.arguments }

  /// Whether its keys are the records of its requests' locks; else they are the base keys of their
  /// partitions.
  package var keysAreRecords: Bool { row.keysAreRecords }

  /// Whether it concerns one session of a device.
  package var isOfSession: Bool {
    switch self {
    case .open, .get, .set, .touch, .changeState, .recover, .recoverLatest, .delete, .chat,
      .switchChat, .chats, .getChat, .setChat, .deleteChat, .reportChat, .say, .history, .pop,
      .forget, .link, .unlink, .linkStatus, .entry, .digest, .reportSession, .export, .import:
      true
    case .lock, .renew, .unlock, .handoff, .seize, .clear, .holder, .listDevice, .linkReserve,
      .linkSettle, .linkDone, .linkPage, .sessionPage, .events, .readGroup, .transferPending, .ack,
      .tails, .stats, .reportAgent, .hello, .heartbeat, .deregister, .staleLibraries, .reap, .trim:
      false
    }
  }

  /// Whether it only reads: then no answer means that nothing was done.
  package var isReadOnly: Bool { row.effect == .reads }

  /// Whether it may run in a Redis that is full: what renews, frees or reaps may.
  package var isAllowedWhenFull: Bool { row.effect == .frees }
}

/// The properties of a script apart from its text.
package struct ScriptRow: Sendable {
  /// The effect of a script on the data, which Redis gets as the script's flags.
  package enum Effect: Sendable {
    /// Nothing: no answer means that nothing was done.
    case reads
    /// It writes, and a Redis that is full refuses it.
    case writes
    /// It renews, frees or reaps, and may run in a Redis that is full.
    case frees

    /// The flag's name; nil for Redis' default.
    var flag: String? {
      switch self {
      case .reads: "no-writes"
      case .writes: nil
      case .frees: "allow-oom"
      }
    }
  }

  package let script: Script
  let source: LuaSource
  /// How many arguments one request has; 0: the script serves one request a call.
  let arguments: Int
  let effect: Effect
  let keysAreRecords: Bool
  /// Whether its keys may be of several partitions, which in a cluster are several slots.
  let spansPartitions: Bool
  /// Whether it does without the time, which takes Redis as long as a small read.
  let isTimeless: Bool

  private init(
    _ script: Script, _ source: LuaSource, _ arguments: Int, _ effect: Effect,
    keysAreRecords: Bool = false, spansPartitions: Bool = false, isTimeless: Bool = false
  ) {
    self.script = script
    self.source = source
    self.arguments = arguments
    self.effect = effect
    self.keysAreRecords = keysAreRecords
    self.isTimeless = isTimeless
    // Requests share a call whatever their partitions are.
    self.spansPartitions = spansPartitions || arguments > 0
  }

  /// The flags of the script, by Redis' names for them.
  var flags: [String] {
    [effect.flag, spansPartitions ? "allow-cross-slot-keys" : nil].compactMap(\.self)
  }

  /// A row for each script, in the order of its cases.
  static let table: [ScriptRow] = locks + sessions + chats + links + lists + events + upkeep

  private static let locks = [
    ScriptRow(
      .lock, LuaSource("lock", PackageResources.lock_lua), 2, .writes, keysAreRecords: true),
    ScriptRow(
      .renew, LuaSource("renew", PackageResources.renew_lua), 2, .frees, keysAreRecords: true),
    ScriptRow(.unlock, LuaSource("unlock", PackageResources.unlock_lua), 4, .frees),
    ScriptRow(.handoff, LuaSource("handoff", PackageResources.handoff_lua), 7, .writes),
    ScriptRow(.seize, LuaSource("seize", PackageResources.seize_lua), 4, .writes),
    ScriptRow(.clear, LuaSource("clear", PackageResources.clear_lua), 2, .frees),
    ScriptRow(.holder, LuaSource("holder", PackageResources.holder_lua), 1, .reads),
  ]

  private static let sessions = [
    ScriptRow(.open, LuaSource("open", PackageResources.open_lua), 10, .writes),
    ScriptRow(.get, LuaSource("get", PackageResources.get_lua), 2, .reads, isTimeless: true),
    ScriptRow(.set, LuaSource("set", PackageResources.set_lua), 8, .writes),
    ScriptRow(.touch, LuaSource("touch", PackageResources.touch_lua), 4, .writes),
    ScriptRow(
      .changeState, LuaSource("change_state", PackageResources.change_state_lua), 7, .frees),
    ScriptRow(.recover, LuaSource("recover", PackageResources.recover_lua), 5, .writes),
    ScriptRow(
      .recoverLatest, LuaSource("recover_latest", PackageResources.recover_latest_lua), 13,
      .writes),
    ScriptRow(.delete, LuaSource("delete", PackageResources.delete_lua), 4, .frees),
    ScriptRow(.listDevice, LuaSource("list_device", PackageResources.list_device_lua), 4, .reads),
  ]

  private static let chats = [
    ScriptRow(.chat, LuaSource("chat", PackageResources.chat_lua), 6, .writes),
    ScriptRow(.switchChat, LuaSource("switch_chat", PackageResources.switch_chat_lua), 5, .writes),
    ScriptRow(
      .chats, LuaSource("chats", PackageResources.chats_lua), 2, .reads, isTimeless: true),
    ScriptRow(.getChat, LuaSource("get_chat", PackageResources.get_chat_lua), 3, .reads),
    ScriptRow(.setChat, LuaSource("set_chat", PackageResources.set_chat_lua), 8, .writes),
    ScriptRow(.deleteChat, LuaSource("delete_chat", PackageResources.delete_chat_lua), 5, .frees),
    ScriptRow(.reportChat, LuaSource("report_chat", PackageResources.report_chat_lua), 3, .reads),
    ScriptRow(.say, LuaSource("say", PackageResources.say_lua), 6, .writes),
    ScriptRow(
      .history, LuaSource("history", PackageResources.history_lua), 5, .reads, isTimeless: true),
    ScriptRow(.pop, LuaSource("pop", PackageResources.pop_lua), 5, .frees),
    ScriptRow(.forget, LuaSource("forget", PackageResources.forget_lua), 5, .frees),
  ]

  private static let links = [
    ScriptRow(.link, LuaSource("link", PackageResources.link_lua), 7, .writes),
    ScriptRow(.unlink, LuaSource("unlink", PackageResources.unlink_lua), 6, .frees),
    ScriptRow(.linkStatus, LuaSource("link_status", PackageResources.link_status_lua), 4, .reads),
    ScriptRow(
      .linkReserve, LuaSource("link_reserve", PackageResources.link_reserve_lua), 4, .writes),
    ScriptRow(.linkSettle, LuaSource("link_settle", PackageResources.link_settle_lua), 4, .frees),
    ScriptRow(.linkDone, LuaSource("link_done", PackageResources.link_done_lua), 0, .frees),
  ]

  private static let lists = [
    ScriptRow(.linkPage, LuaSource("link_page", PackageResources.link_page_lua), 3, .reads),
    ScriptRow(
      .sessionPage, LuaSource("session_page", PackageResources.session_page_lua), 2, .reads),
    ScriptRow(
      .entry, LuaSource("entry", PackageResources.entry_lua), 5, .reads, isTimeless: true),
    ScriptRow(.digest, LuaSource("digest", PackageResources.digest_lua), 4, .reads),
    ScriptRow(
      .reportSession, LuaSource("report_session", PackageResources.report_session_lua), 2, .reads),
    ScriptRow(.export, LuaSource("export", PackageResources.export_lua), 3, .reads),
    ScriptRow(.import, LuaSource("import", PackageResources.import_lua), 7, .writes),
  ]

  private static let events = [
    ScriptRow(.events, LuaSource("events", PackageResources.events_lua), 3, .reads),
    ScriptRow(
      .readGroup, LuaSource("read_group", PackageResources.read_group_lua), 0, .frees,
      spansPartitions: true),
    ScriptRow(
      .transferPending, LuaSource("transfer_pending", PackageResources.transfer_pending_lua), 0,
      .frees,
      spansPartitions: true),
    ScriptRow(.ack, LuaSource("ack", PackageResources.ack_lua), 0, .frees, spansPartitions: true),
    ScriptRow(
      .tails, LuaSource("tails", PackageResources.tails_lua), 0, .reads, spansPartitions: true),
  ]

  private static let upkeep = [
    ScriptRow(
      .stats, LuaSource("stats", PackageResources.stats_lua), 0, .reads, spansPartitions: true),
    ScriptRow(
      .reportAgent, LuaSource("report_agent", PackageResources.report_agent_lua), 0, .reads,
      spansPartitions: true),
    ScriptRow(.hello, LuaSource("hello", PackageResources.hello_lua), 0, .frees),
    ScriptRow(.heartbeat, LuaSource("heartbeat", PackageResources.heartbeat_lua), 0, .frees),
    ScriptRow(.deregister, LuaSource("deregister", PackageResources.deregister_lua), 0, .frees),
    ScriptRow(
      .staleLibraries, LuaSource("stale_libraries", PackageResources.stale_libraries_lua), 0,
      .frees),
    ScriptRow(.reap, LuaSource("reap", PackageResources.reap_lua), 0, .frees),
    ScriptRow(.trim, LuaSource("trim", PackageResources.trim_lua), 0, .frees),
  ]
}
