// Owns: the list of verbs and how one is found. A constant; any thread.

internal import Wire

/// All verbs of the protocol that this worker knows.
package struct VerbTable: Sendable {
  /// In the order in which HELP lists them.
  package static let all: [Verb] = [
    LockVerb.verb, RenewVerb.verb, UnlockVerb.verb, HandoffVerb.verb, SeizeVerb.verb,
    ClearVerb.verb, HolderVerb.verb,
    TurnVerb.verb, DoneVerb.verb,
    OpenVerb.verb, GetVerb.verb, SetVerb.verb, TouchVerb.verb, PauseVerb.verb, ResumeVerb.verb,
    CloseVerb.verb, RecoverVerb.verb, ArchiveVerb.verb, DeleteVerb.verb,
    LinkVerb.verb, UnlinkVerb.verb, ListVerb.verb,
    ChatVerb.verb, SwitchVerb.verb, ChatsVerb.verb, SayVerb.verb, HistoryVerb.verb, PopVerb.verb,
    ForgetVerb.verb,
    WatchVerb.verb, UnwatchVerb.verb, EventsVerb.verb, AckVerb.verb,
    StatsVerb.verb, ReportVerb.verb, ExportVerb.verb, ImportVerb.verb,
    PingVerb.verb, AuthVerb.verb, HelpVerb.verb, InfoVerb.verb, QuitVerb.verb,
  ]

  private let indices: [UInt64: Int]

  package init() {
    var indices: [UInt64: Int] = [:]
    for (index, verb) in VerbTable.all.enumerated() {
      let name = Array(verb.name.utf8)
      guard let key = VerbTable.key(name.span, 0..<name.count), indices[key] == nil else {
        preconditionFailure("the verb \(verb.name) is too long or stands twice in the table")
      }
      indices[key] = index
    }
    self.indices = indices
  }

  /// The number of a verb, in any case, or nil.
  package func index(_ line: Span<UInt8>, _ range: Range<Int>) -> Int? {
    VerbTable.key(line, range).flatMap { indices[$0] }
  }

  /// Up to eight letters in capitals, packed into a word: one number to look up.
  private static func key(_ line: Span<UInt8>, _ range: Range<Int>) -> UInt64? {
    guard 1...8 ~= range.count else { return nil }
    var key: UInt64 = 0
    for at in range {
      let byte = line[at]
      let isSmall = UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte
      key = key << 8 | UInt64(isSmall ? byte & 0xDF : byte)
    }
    return key
  }
}
