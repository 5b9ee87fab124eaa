// Owns: the Lua files as they were written, and which shared parts each of them needs. A value;
// any thread.

internal import Synchronization

/// A parameter of a script, as its file's header lists it.
package struct ScriptParameter: Sendable {
  package let name: String
  /// Whether the argument may be empty: `session?`.
  package let isOptional: Bool
  /// Whether it stands for all arguments that are left: `ids...`.
  package let isList: Bool

  /// From a header's list; a note in parentheses is for readers.
  init(_ text: Substring) {
    let name = text.prefix { $0.isLetter || $0 == "_" }
    let rest = text.dropFirst(name.count)
    self.name = String(name)
    isOptional = rest.hasPrefix("?")
    isList = rest.hasPrefix("...")
  }
}

/// A Lua file: an operation, or a part that operations share.
struct LuaSource: Sendable {
  /// The file's name without its ending.
  let name: String
  let text: [UInt8]
  /// The text as a library has it, behind its mark.
  let packed: [UInt8]
  /// The lists of its header by their labels.
  private let header: [String: String]

  init(_ name: String, _ text: [UInt8]) {
    self.name = name
    self.text = text
    packed = LuaText.mark(name) + LuaText.packed(text)
    header = LuaSource.header(text)
  }

  /// The comment that a file begins with: `-- USES: a, b` and lines that go on with a list.
  private static func header(_ text: [UInt8]) -> [String: String] {
    var lists: [String: String] = [:]
    var label: Substring?
    for line in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      guard line.starts(with: "--".utf8) else { break }
      let words = String(decoding: line.dropFirst(2), as: UTF8.self).drop { $0 == " " }
      let begun = words.prefix { $0.isUppercase }
      if words.dropFirst(begun.count).hasPrefix(": ") {
        label = begun
        lists[String(begun)] = String(words.dropFirst(begun.count + 2))
      } else if let label {
        lists[String(label)]? += " \(words)"
      }
    }
    return lists
  }

  /// The shared parts, by name.
  private static let parts: [String: LuaSource] = {
    let all = [
      LuaSource("batch", PackageResources.batch_lua),
      LuaSource("requests", PackageResources.requests_lua),
      LuaSource("changes", PackageResources.changes_lua),
      LuaSource("pushes", PackageResources.pushes_lua),
      LuaSource("activity", PackageResources.activity_lua),
      LuaSource("activity_repair", PackageResources.activity_repair_lua),
      LuaSource("clocks", PackageResources.clocks_lua),
      LuaSource("chat_address", PackageResources.chat_address_lua),
      LuaSource("chat_figures", PackageResources.chat_figures_lua),
      LuaSource("chat_ids", PackageResources.chat_ids_lua),
      LuaSource("chat_index", PackageResources.chat_index_lua),
      LuaSource("chat_index_steps", PackageResources.chat_index_steps_lua),
      LuaSource("chat_json", PackageResources.chat_json_lua),
      LuaSource("chat_known", PackageResources.chat_known_lua),
      LuaSource("chat_limits", PackageResources.chat_limits_lua),
      LuaSource("chat_pages", PackageResources.chat_pages_lua),
      LuaSource("chat_records", PackageResources.chat_records_lua),
      LuaSource("chat_removal", PackageResources.chat_removal_lua),
      LuaSource("chat_search", PackageResources.chat_search_lua),
      LuaSource("chat_writes", PackageResources.chat_writes_lua),
      LuaSource("cleanup", PackageResources.cleanup_lua),
      LuaSource("clock_lengths", PackageResources.clock_lengths_lua),
      LuaSource("device_current", PackageResources.device_current_lua),
      LuaSource("device_lines", PackageResources.device_lines_lua),
      LuaSource("document_pages", PackageResources.document_pages_lua),
      LuaSource("document_writes", PackageResources.document_writes_lua),
      LuaSource("documents", PackageResources.documents_lua),
      LuaSource("entry_steps", PackageResources.entry_steps_lua),
      LuaSource("event_entries", PackageResources.event_entries_lua),
      LuaSource("event_log", PackageResources.event_log_lua),
      LuaSource("group_acks", PackageResources.group_acks_lua),
      LuaSource("group_asks", PackageResources.group_asks_lua),
      LuaSource("group_giving", PackageResources.group_giving_lua),
      LuaSource("group_losses", PackageResources.group_losses_lua),
      LuaSource("group_making", PackageResources.group_making_lua),
      LuaSource("group_page", PackageResources.group_page_lua),
      LuaSource("group_pending", PackageResources.group_pending_lua),
      LuaSource("hook_definitions", PackageResources.hook_definitions_lua),
      LuaSource("hook_entries", PackageResources.hook_entries_lua),
      LuaSource("hook_keys", PackageResources.hook_keys_lua),
      LuaSource("idempotency", PackageResources.idempotency_lua),
      LuaSource("import_checks", PackageResources.import_checks_lua),
      LuaSource("import_stage", PackageResources.import_stage_lua),
      LuaSource("json_members", PackageResources.json_members_lua),
      LuaSource("large_sessions", PackageResources.large_sessions_lua),
      LuaSource("ledger", PackageResources.ledger_lua),
      LuaSource("link_changes", PackageResources.link_changes_lua),
      LuaSource("links", PackageResources.links_lua),
      LuaSource("list_filter", PackageResources.list_filter_lua),
      LuaSource("list_steps", PackageResources.list_steps_lua),
      LuaSource("live_quota", PackageResources.live_quota_lua),
      LuaSource("lock_begin", PackageResources.lock_begin_lua),
      LuaSource("lock_closings", PackageResources.lock_closings_lua),
      LuaSource("lock_deadlines", PackageResources.lock_deadlines_lua),
      LuaSource("lock_ends", PackageResources.lock_ends_lua),
      LuaSource("lock_grants", PackageResources.lock_grants_lua),
      LuaSource("lock_holders", PackageResources.lock_holders_lua),
      LuaSource("lock_sharing", PackageResources.lock_sharing_lua),
      LuaSource("lock_recounts", PackageResources.lock_recounts_lua),
      LuaSource("lock_records", PackageResources.lock_records_lua),
      LuaSource("locks", PackageResources.locks_lua),
      LuaSource("log_account", PackageResources.log_account_lua),
      LuaSource("log_groups", PackageResources.log_groups_lua),
      LuaSource("log_marks", PackageResources.log_marks_lua),
      LuaSource("log_quota", PackageResources.log_quota_lua),
      LuaSource("log_shares", PackageResources.log_shares_lua),
      LuaSource("log_trim", PackageResources.log_trim_lua),
      LuaSource("log_upkeep", PackageResources.log_upkeep_lua),
      LuaSource("look_stamps", PackageResources.look_stamps_lua),
      LuaSource("merge", PackageResources.merge_lua),
      LuaSource("messages", PackageResources.messages_lua),
      LuaSource("numbers", PackageResources.numbers_lua),
      LuaSource("policies", PackageResources.policies_lua),
      LuaSource("queue", PackageResources.queue_lua),
      LuaSource("queue_entry", PackageResources.queue_entry_lua),
      LuaSource("queue_scores", PackageResources.queue_scores_lua),
      LuaSource("quotas", PackageResources.quotas_lua),
      LuaSource("record_io", PackageResources.record_io_lua),
      LuaSource("reindex", PackageResources.reindex_lua),
      LuaSource("removal", PackageResources.removal_lua),
      LuaSource("renewals", PackageResources.renewals_lua),
      LuaSource("reservations", PackageResources.reservations_lua),
      LuaSource("sealed", PackageResources.sealed_lua),
      LuaSource("session_apply", PackageResources.session_apply_lua),
      LuaSource("session_changes", PackageResources.session_changes_lua),
      LuaSource("revisions", PackageResources.revisions_lua),
      LuaSource("session_choice", PackageResources.session_choice_lua),
      LuaSource("session_create", PackageResources.session_create_lua),
      LuaSource("session_find", PackageResources.session_find_lua),
      LuaSource("session_index", PackageResources.session_index_lua),
      LuaSource("session_json", PackageResources.session_json_lua),
      LuaSource("session_load", PackageResources.session_load_lua),
      LuaSource("session_members", PackageResources.session_members_lua),
      LuaSource("session_fields", PackageResources.session_fields_lua),
      LuaSource("session_parts", PackageResources.session_parts_lua),
      LuaSource("session_reads", PackageResources.session_reads_lua),
      LuaSource("session_roles", PackageResources.session_roles_lua),
      LuaSource("session_state", PackageResources.session_state_lua),
      LuaSource("session_users", PackageResources.session_users_lua),
      LuaSource("user_sessions", PackageResources.user_sessions_lua),
      LuaSource("session_warnings", PackageResources.session_warnings_lua),
      LuaSource("shares", PackageResources.shares_lua),
      LuaSource("slots", PackageResources.slots_lua),
      LuaSource("stream_ids", PackageResources.stream_ids_lua),
      LuaSource("tokens", PackageResources.tokens_lua),
      LuaSource("transitions", PackageResources.transitions_lua),
      LuaSource("turn_asks", PackageResources.turn_asks_lua),
      LuaSource("turn_begin", PackageResources.turn_begin_lua),
      LuaSource("turn_changes", PackageResources.turn_changes_lua),
      LuaSource("turn_ends", PackageResources.turn_ends_lua),
      LuaSource("turn_grants", PackageResources.turn_grants_lua),
      LuaSource("turn_messages", PackageResources.turn_messages_lua),
      LuaSource("turn_policies", PackageResources.turn_policies_lua),
      LuaSource("turn_records", PackageResources.turn_records_lua),
      LuaSource("turn_said", PackageResources.turn_said_lua),
      LuaSource("turn_settling", PackageResources.turn_settling_lua),
      LuaSource("turn_shown", PackageResources.turn_shown_lua),
      LuaSource("turn_rollback", PackageResources.turn_rollback_lua),
    ]
    return Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
  }()

  /// The parts that this file names in its header.
  var uses: [LuaSource] {
    list("USES").map(String.init).map { name in
      guard let part = LuaSource.parts[name] else {
        preconditionFailure("\(self.name).lua uses \(name), which is no part")
      }
      return part
    }
  }

  /// The things that a list in the header has.
  func list(_ label: String) -> [Substring] {
    let things = header[label]?.split(separator: ", ") ?? []
    return things == ["nothing"] ? [] : things
  }

  /// The parameters of a script's function that are arguments of its call; for `NEW` those that the
  /// part that makes sessions lists under that label.
  var parameters: [ScriptParameter] {
    list("ARGV").flatMap { $0 == "NEW" ? uses.flatMap { $0.list("NEW") } : [$0] }
      .map { ScriptParameter($0) }
  }

  /// A part as a library has it: its names go into the table GIVEN, from which all who use them
  /// take them when the library is loaded.
  ///
  /// Lua takes no more than 200 locals at once, and all parts together give more names.
  var given: [UInt8] {
    guard name != "batch" else { return packed }
    return enclosing(packed, gives, taking: Set(uses.filter(\.isEnclosed).flatMap(\.gives)))
  }

  /// The names that this file uses of parts, taken out of GIVEN.
  var taken: [UInt8] {
    let parts = uses.filter(\.isEnclosed)
    return LuaSource.taking(parts, Set(parts.flatMap(\.gives)), for: packed)
  }

  /// The settings and numbers that scripts have, as a part that all others may use.
  static func constants(_ constants: ScriptConstants) -> LuaSource {
    LuaSource("constants", Array("\(constants.lua)local GENERATION = ''\n".utf8))
  }

  /// Whether it may be in a function of its own: the state of a call is written.
  var isEnclosed: Bool { name != "batch" && name != "constants" }

  /// The names that it gives.
  var gives: [String] { list("GIVES").map(String.init) }

  /// A text of this part in a function of its own, which takes what it uses of `given` out of
  /// GIVEN, and puts these names there.
  func enclosing(_ text: [UInt8], _ names: [String], taking given: Set<String>) -> [UInt8] {
    let fields = names.map { "GIVEN.\($0)" }.joined(separator: ", ")
    let inside = LuaSource.taking(uses, given, for: text) + text
    guard !names.isEmpty else { return Array("do\n".utf8) + inside + Array("end\n".utf8) }
    return Array("\(fields) = (function()\n".utf8) + inside
      + Array("return \(names.joined(separator: ", "))\nend)()\n".utf8)
  }

  /// The names of `given` that these parts give and that stand in a text, taken out of GIVEN.
  static func taking(_ parts: [LuaSource], _ given: Set<String>, for text: [UInt8]) -> [UInt8] {
    let names = LuaText.words(parts.flatMap(\.gives).filter(given.contains), in: text)
    guard !names.isEmpty else { return [] }
    let fields = names.map { "GIVEN.\($0)" }.joined(separator: ", ")
    return Array("local \(names.joined(separator: ", ")) = \(fields)\n".utf8)
  }

  /// The statements of parts, by their names: those that were asked for already.
  private static let statementsOfParts = Mutex<[String: [LuaStatement]]>([:])

  /// The statements of a part.
  var statements: [LuaStatement] {
    // They differ from worker to worker.
    if name == "constants" { return LuaStatement.all(in: text) }
    return LuaSource.statementsOfParts.withLock { found in
      if let known = found[name] { return known }
      let all = LuaStatement.all(in: text, of: name)
      found[name] = all
      return all
    }
  }

  /// The words in capitals that each part has between quotes, by its name.
  static let quotedWords: [String: [String]] = parts.mapValues {
    ScriptRights.quotedWords($0.text)
  }

  /// All parts that files need, directly or not, each behind those that it needs itself.
  static func closure(of sources: [LuaSource]) -> [LuaSource] {
    var found: [LuaSource] = []
    var seen: Set<String> = []
    func visit(_ source: LuaSource) {
      for part in source.uses where seen.insert(part.name).inserted {
        visit(part)
        found.append(part)
      }
    }
    for source in sources { visit(source) }
    return found
  }
}
