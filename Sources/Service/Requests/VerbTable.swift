// Owns: the list of verbs and how one is found. A constant; any thread.

package import Wire

/// All verbs of the protocol that this worker knows.
package struct VerbTable: Sendable {
  /// The most words behind a verb: ACK takes a group and 1,000 ids.
  private static let wordsMax = 1_001

  /// In the order in which HELP lists them.
  package static let all: [Verb] = [
    LockVerb.verb, RenewVerb.verb, UnlockVerb.verb, HandoffVerb.verb, SeizeVerb.verb,
    ClearVerb.verb, HolderVerb.verb, LocksVerb.verb,
    TurnVerb.verb, DoneVerb.verb, PartVerb.verb,
    OpenVerb.verb, GetVerb.verb, SetVerb.verb, TouchVerb.verb, PauseVerb.verb, ResumeVerb.verb,
    CloseVerb.verb, RecoverVerb.verb, ArchiveVerb.verb, DeleteVerb.verb,
    LinkVerb.verb, UnlinkVerb.verb, ShareVerb.verb, UnshareVerb.verb,
    TicketVerb.verb, ListVerb.verb, ProfileVerb.verb,
    ChatVerb.verb, SwitchVerb.verb, ChatsVerb.verb, SayVerb.verb, HistoryVerb.verb, PopVerb.verb,
    ForgetVerb.verb, AmendVerb.verb,
    PutVerb.verb, TakeVerb.verb, DropVerb.verb, KeysVerb.verb,
    ApplyVerb.verb,
    WatchVerb.verb, UnwatchVerb.verb, TellVerb.verb, EventsVerb.verb, AckVerb.verb,
    HookVerb.verb, HooksVerb.verb, UnhookVerb.verb,
    StatsVerb.verb, ReportVerb.verb, ExportVerb.verb, ImportVerb.verb, CopyVerb.verb,
    PingVerb.verb, AuthVerb.verb, HelpVerb.verb, InfoVerb.verb, QuitVerb.verb,
  ]

  /// The keys of all verbs in their order, and the numbers of these verbs: six steps find one in
  /// half of the instructions that hashing it takes.
  private let keys: [UInt64]
  private let indices: [Int]

  package init() {
    let rows = VerbTable.all.enumerated().map { index, verb in
      let name = Array(verb.name.utf8)
      guard let key = VerbTable.key(name.span, 0..<name.count) else {
        preconditionFailure("the verb \(verb.name) is too long")
      }
      return (key: key, index: index)
    }.sorted { $0.key < $1.key }
    keys = rows.map(\.key)
    indices = rows.map(\.index)
    precondition(Set(keys).count == keys.count, "a verb stands twice in the table")
  }

  /// A parser with the limits of these verbs.
  package func makeParser() -> RequestParser {
    let table = self
    return RequestParser(wordsMax: VerbTable.wordsMax, stringVerb: "PUT") {
      table.limits($0, $1, $2)
    }
  }

  /// The number of the verb at the beginning of a line.
  package func find(_ line: Span<UInt8>, _ range: Range<Int>) throws(RequestError) -> Int {
    if let index = index(line, range) { return index }
    let name = EchoText.quoted(line, range)
    throw RequestError(.unknownVerb, "there is no verb \(name); HELP lists them")
  }

  /// The limits of a payload, as its verb declares them.
  private func limits(
    _ line: Span<UInt8>, _ verb: Range<Int>, _ words: [Token]
  ) -> JSONLimits {
    index(line, verb).map { VerbTable.all[$0].limits(line, words) } ?? .usual
  }

  /// The number of a verb, in any case, or nil.
  package func index(_ line: Span<UInt8>, _ range: Range<Int>) -> Int? {
    guard let key = VerbTable.key(line, range) else { return nil }
    var (low, high) = (0, keys.count)
    while low < high {
      let middle = (low + high) / 2
      if keys[middle] < key { low = middle + 1 } else { high = middle }
    }
    return low < keys.count && keys[low] == key ? indices[low] : nil
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
