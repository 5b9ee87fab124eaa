// Owns: the list of Lua scripts, and the table of what each takes and may do. docs/keys.md says
// what they write. A value; any thread.

/// One Lua script: an atomic operation, run by Redis.
package enum Script: Int, CaseIterable, Sendable {
  case lock, awaitLock, leaveLock, renew, unlock, handoff, seize, clear, holder, locksPage
  case turn, settleTurn, done, part, leaveTurn
  case open, get, set, touch, changeState, recover, recoverLatest, delete, listDevice
  case chat, switchChat, chats, getChat, setChat, deleteChat, reportChat
  case say, history, pop, forget, amend
  case put, take, drop, keys, apply
  case profile, setProfile, look, lookPage, recordPage
  case share, unshare, ticket, link, unlink, linkStatus, linkReserve, linkSettle, linkDone, evict
  case linkPage, keepChoice, claimSession, recoverable, sessionPage, activityPage, sift, entry
  case digest, reportSession
  case export, `import`, importPart
  case events, readGroup, transferPending, ack, tails, readLogs
  case watchChanges, resolve, pushEvent
  case setHook, hooks, noteHook, readHook, claimHook, ackHook, hookLags, dropGroup
  case liveSessions, owned, stats, reportAgent
  case hello, heartbeat, deregister, staleLibraries, reap, trim

  package var row: ScriptRow { ScriptRow.table[rawValue] }

  /// The file's name without its ending.
  package var name: String { row.source.name }

  /// How many arguments one request has; 0 for scripts that serve one request a call.
  package var argumentsPerRequest: Int { row.arguments }

  /// The arguments of a request, as the header of the file lists them.
  package var parameters: [ScriptParameter] { row.parameters }

  /// Whether its keys are the records of its requests' locks; else they are the base keys of their
  /// partitions.
  package var keysAreRecords: Bool { row.keysAreRecords }

  /// Whether it concerns one session of a device.
  package var isOfSession: Bool { row.isOfSession }

  /// Whether it only reads: then no answer means that nothing was done.
  package var isReadOnly: Bool { row.effect == .reads }

  /// Whether its keys may be of several partitions, which in a cluster are several slots.
  package var spansPartitions: Bool { row.spansPartitions }

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
  let parameters: [ScriptParameter]
  /// How many arguments one request has; 0: the script serves one request a call.
  let arguments: Int
  let effect: Effect
  let isOfSession: Bool
  let keysAreRecords: Bool
  /// Whether its keys may be of several partitions, which in a cluster are several slots.
  let spansPartitions: Bool
  /// Whether it does without the time, which takes Redis as long as a small read.
  let isTimeless: Bool

  /// The file's header says the rest: its parameters, and by the part that it uses for that
  /// whether many requests share a call.
  private init(
    _ script: Script, _ lua: [UInt8], _ effect: Effect, isOfSession: Bool = false,
    spansPartitions: Bool = false, isTimeless: Bool = false
  ) {
    self.script = script
    self.effect = effect
    self.isOfSession = isOfSession
    self.isTimeless = isTimeless
    source = LuaSource(ScriptRow.fileName(of: script), lua)
    parameters = source.parameters
    let parts = Set(source.uses.map(\.name))
    keysAreRecords = parts.contains("renewals")
    let servesMany = keysAreRecords || parts.contains("requests")
    arguments = servesMany ? parameters.count : 0
    // Requests share a call whatever their partitions are.
    self.spansPartitions = spansPartitions || servesMany
  }

  /// Files are named with underscores where Swift has capitals.
  private static func fileName(of script: Script) -> String {
    "\(script)".reduce(into: "") { name, letter in
      name += letter.isUppercase ? "_" + letter.lowercased() : String(letter)
    }
  }

  /// The flags of the script, by Redis' names for them.
  var flags: [String] {
    [effect.flag, spansPartitions ? "allow-cross-slot-keys" : nil].compactMap(\.self)
  }

  /// A row for each script, in the order of its cases.
  static let table: [ScriptRow] =
    locks + turns + sessions + chats + documents + links + lists + events + webhooks + upkeep

  private static let locks = [
    ScriptRow(.lock, PackageResources.lock_lua, .writes),
    ScriptRow(.awaitLock, PackageResources.await_lock_lua, .writes),
    ScriptRow(.leaveLock, PackageResources.leave_lock_lua, .frees),
    ScriptRow(.renew, PackageResources.renew_lua, .frees),
    ScriptRow(.unlock, PackageResources.unlock_lua, .frees),
    ScriptRow(.handoff, PackageResources.handoff_lua, .writes),
    ScriptRow(.seize, PackageResources.seize_lua, .writes),
    ScriptRow(.clear, PackageResources.clear_lua, .frees),
    ScriptRow(.holder, PackageResources.holder_lua, .reads),
    ScriptRow(.locksPage, PackageResources.locks_page_lua, .reads),
  ]

  private static let turns = [
    ScriptRow(.turn, PackageResources.turn_lua, .writes, isOfSession: true),
    ScriptRow(.settleTurn, PackageResources.settle_turn_lua, .writes, isOfSession: true),
    ScriptRow(.done, PackageResources.done_lua, .writes, isOfSession: true),
    ScriptRow(.part, PackageResources.part_lua, .writes, isOfSession: true),
    ScriptRow(.leaveTurn, PackageResources.leave_turn_lua, .frees),
  ]

  private static let sessions = [
    ScriptRow(.open, PackageResources.open_lua, .writes, isOfSession: true),
    ScriptRow(.get, PackageResources.get_lua, .reads, isOfSession: true, isTimeless: true),
    ScriptRow(.set, PackageResources.set_lua, .writes, isOfSession: true),
    ScriptRow(.touch, PackageResources.touch_lua, .writes, isOfSession: true),
    ScriptRow(.changeState, PackageResources.change_state_lua, .frees, isOfSession: true),
    ScriptRow(.recover, PackageResources.recover_lua, .writes, isOfSession: true),
    ScriptRow(.recoverLatest, PackageResources.recover_latest_lua, .writes, isOfSession: true),
    ScriptRow(.delete, PackageResources.delete_lua, .frees, isOfSession: true),
    ScriptRow(.listDevice, PackageResources.list_device_lua, .reads),
  ]

  private static let chats = [
    ScriptRow(.chat, PackageResources.chat_lua, .writes, isOfSession: true),
    ScriptRow(.switchChat, PackageResources.switch_chat_lua, .writes, isOfSession: true),
    ScriptRow(.chats, PackageResources.chats_lua, .reads, isOfSession: true, isTimeless: true),
    ScriptRow(.getChat, PackageResources.get_chat_lua, .reads, isOfSession: true),
    ScriptRow(.setChat, PackageResources.set_chat_lua, .writes, isOfSession: true),
    ScriptRow(.deleteChat, PackageResources.delete_chat_lua, .frees, isOfSession: true),
    ScriptRow(.reportChat, PackageResources.report_chat_lua, .reads, isOfSession: true),
    ScriptRow(.say, PackageResources.say_lua, .writes, isOfSession: true),
    ScriptRow(.history, PackageResources.history_lua, .reads, isOfSession: true, isTimeless: true),
    ScriptRow(.pop, PackageResources.pop_lua, .frees, isOfSession: true),
    ScriptRow(.forget, PackageResources.forget_lua, .frees, isOfSession: true),
    ScriptRow(.amend, PackageResources.amend_lua, .writes, isOfSession: true),
  ]

  private static let documents = [
    ScriptRow(.put, PackageResources.put_lua, .writes, isOfSession: true),
    ScriptRow(.take, PackageResources.take_lua, .reads, isOfSession: true),
    ScriptRow(.drop, PackageResources.drop_lua, .frees, isOfSession: true),
    ScriptRow(.keys, PackageResources.keys_lua, .reads, isOfSession: true),
    ScriptRow(.apply, PackageResources.apply_lua, .writes, isOfSession: true),
    ScriptRow(.profile, PackageResources.profile_lua, .reads, isTimeless: true),
    ScriptRow(.setProfile, PackageResources.set_profile_lua, .writes),
    ScriptRow(.look, PackageResources.look_lua, .reads, isOfSession: true),
    ScriptRow(
      .lookPage, PackageResources.look_page_lua, .reads, isOfSession: true, isTimeless: true),
    ScriptRow(.recordPage, PackageResources.record_page_lua, .reads, isOfSession: true),
  ]

  private static let links = [
    ScriptRow(.share, PackageResources.share_lua, .writes, isOfSession: true),
    ScriptRow(.unshare, PackageResources.unshare_lua, .frees, isOfSession: true),
    ScriptRow(.ticket, PackageResources.ticket_lua, .writes, isOfSession: true),
    ScriptRow(.link, PackageResources.link_lua, .writes, isOfSession: true),
    ScriptRow(.unlink, PackageResources.unlink_lua, .frees, isOfSession: true),
    ScriptRow(.linkStatus, PackageResources.link_status_lua, .reads, isOfSession: true),
    ScriptRow(.linkReserve, PackageResources.link_reserve_lua, .writes),
    ScriptRow(.linkSettle, PackageResources.link_settle_lua, .frees),
    ScriptRow(.linkDone, PackageResources.link_done_lua, .frees),
    ScriptRow(.evict, PackageResources.evict_lua, .frees, isOfSession: true),
  ]

  private static let lists = [
    ScriptRow(.linkPage, PackageResources.link_page_lua, .reads),
    ScriptRow(.keepChoice, PackageResources.keep_choice_lua, .writes),
    ScriptRow(.claimSession, PackageResources.claim_session_lua, .writes),
    ScriptRow(.recoverable, PackageResources.recoverable_lua, .reads, isOfSession: true),
    ScriptRow(.sessionPage, PackageResources.session_page_lua, .reads),
    ScriptRow(.activityPage, PackageResources.activity_page_lua, .reads, isTimeless: true),
    ScriptRow(.sift, PackageResources.sift_lua, .reads, isOfSession: true, isTimeless: true),
    ScriptRow(.entry, PackageResources.entry_lua, .reads, isOfSession: true, isTimeless: true),
    ScriptRow(.digest, PackageResources.digest_lua, .reads, isOfSession: true),
    ScriptRow(.reportSession, PackageResources.report_session_lua, .reads, isOfSession: true),
    ScriptRow(.export, PackageResources.export_lua, .reads, isOfSession: true),
    ScriptRow(.import, PackageResources.import_lua, .writes, isOfSession: true),
    ScriptRow(.importPart, PackageResources.import_part_lua, .writes),
  ]

  private static let events = [
    ScriptRow(.events, PackageResources.events_lua, .reads),
    ScriptRow(.readGroup, PackageResources.read_group_lua, .frees, spansPartitions: true),
    ScriptRow(
      .transferPending, PackageResources.transfer_pending_lua, .frees, spansPartitions: true),
    ScriptRow(.ack, PackageResources.ack_lua, .frees, spansPartitions: true),
    ScriptRow(.tails, PackageResources.tails_lua, .reads, spansPartitions: true),
    ScriptRow(.readLogs, PackageResources.read_logs_lua, .frees, spansPartitions: true),
    ScriptRow(.watchChanges, PackageResources.watch_changes_lua, .frees),
    ScriptRow(.resolve, PackageResources.resolve_lua, .reads, isOfSession: true),
    ScriptRow(.pushEvent, PackageResources.push_event_lua, .frees, isOfSession: true),
  ]

  private static let webhooks = [
    ScriptRow(.setHook, PackageResources.set_hook_lua, .frees),
    ScriptRow(.hooks, PackageResources.hooks_lua, .reads),
    ScriptRow(.noteHook, PackageResources.note_hook_lua, .frees),
    ScriptRow(.readHook, PackageResources.read_hook_lua, .frees, spansPartitions: true),
    ScriptRow(.claimHook, PackageResources.claim_hook_lua, .frees, spansPartitions: true),
    ScriptRow(.ackHook, PackageResources.ack_hook_lua, .frees, spansPartitions: true),
    ScriptRow(.hookLags, PackageResources.hook_lags_lua, .reads, spansPartitions: true),
    ScriptRow(.dropGroup, PackageResources.drop_group_lua, .frees, spansPartitions: true),
  ]

  private static let upkeep = [
    ScriptRow(.liveSessions, PackageResources.live_sessions_lua, .reads, spansPartitions: true),
    ScriptRow(.owned, PackageResources.owned_lua, .reads, spansPartitions: true),
    ScriptRow(.stats, PackageResources.stats_lua, .reads),
    ScriptRow(.reportAgent, PackageResources.report_agent_lua, .reads, spansPartitions: true),
    ScriptRow(.hello, PackageResources.hello_lua, .frees),
    ScriptRow(.heartbeat, PackageResources.heartbeat_lua, .frees),
    ScriptRow(.deregister, PackageResources.deregister_lua, .frees),
    ScriptRow(.staleLibraries, PackageResources.stale_libraries_lua, .frees),
    ScriptRow(.reap, PackageResources.reap_lua, .frees),
    ScriptRow(.trim, PackageResources.trim_lua, .frees),
  ]
}
