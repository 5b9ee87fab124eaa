// Owns: a named policy of sessions: lengths of clocks and limits, and how its text is read.
// A value; any thread.

package import SessionModel
internal import Wire

/// The clocks and limits that a session gets by name.
package struct SessionPolicy: Sendable, Equatable {
  package let name: String
  /// The lengths that it sets, in ms; the server's apply to the others.
  package private(set) var clocksMs: [SessionClock: Int64] = [:]
  /// The limits that it sets; the server's apply to the others.
  private var limits: [Limit: Int] = [:]
  /// Whether a full chat refuses messages; else the oldest go.
  private var refusesWhenFull = false
  /// Whether a limit of live sessions closes the one that was active longest ago; else it refuses.
  private var evicts = false

  /// A limit that a policy can set, in the order in which records keep them.
  package enum Limit: String, CaseIterable, Sendable {
    case sessions = "max-sessions"
    case userSessions = "max-user-sessions"
    case chats = "max-chats"
    case messages = "max-messages"

    package var allowed: ClosedRange<Int> {
      switch self {
      case .sessions, .userSessions: 1...10_000
      case .chats: 1...1_000
      case .messages: 1...1_000_000
      }
    }
  }

  /// Names that mean something else where TURN takes a policy.
  private static let reserved = ["reject", "enqueue", "join", "interrupt", "rollback"]

  /// The allowed texts, in words that can follow 'takes'.
  static let rangeText =
    "NAME: and, with commas between them, idle, abandon, archive, life, keep or warn=DURATION, "
    + "max-sessions, max-user-sessions, max-chats or max-messages=N, full=trim or refuse, "
    + "at-most=refuse or evict"

  /// A limit; nil where the server's applies.
  package func limit(_ limit: Limit) -> Int? { limits[limit] }

  /// The clocks of a session with this policy, where the server's are `general`.
  package func clocks(over general: SessionClocks) -> SessionClocks {
    clocksMs.reduce(into: general) { $0[$1.key] = $1.value }
  }

  /// As the scripts and records have it: the name, its limits, 0 for the server's, and two words.
  package var line: String {
    let numbers = Limit.allCases.map { " \(limits[$0] ?? 0)" }.joined()
    return "\(name)\(numbers) \(refusesWhenFull ? "refuse" : "trim") \(evicts ? "evict" : "refuse")"
  }
}

extension SessionPolicy {
  /// From a text such as `support:idle=5m,max-user-sessions=3,at-most=evict`.
  init(_ text: String) throws(SettingError) {
    guard let colon = text.lastIndex(of: ":") else {
      throw SettingError("a ':' is missing behind the name")
    }
    name = String(text[..<colon])
    guard IDText.isID(name) else { throw SettingError("the name is not an id") }
    guard !SessionPolicy.reserved.contains(name) else {
      throw SettingError("'\(name)' is a policy of turns; name it otherwise")
    }
    var seen: Set<Substring> = []
    let list = text[text.index(after: colon)...]
    for part in list.split(separator: ",", omittingEmptySubsequences: list.isEmpty) {
      let words = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard words.count == 2 else {
        throw SettingError("\(SettingText.shown(String(part))) is not name=value")
      }
      guard seen.insert(words[0]).inserted else {
        throw SettingError("\(words[0]) stands there twice")
      }
      try set(words[0], String(words[1]))
    }
  }

  private mutating func set(_ member: Substring, _ value: String) throws(SettingError) {
    let given = "\(member)=\(SettingText.shown(value))"
    if let clock = SessionClock(rawValue: String(member)) {
      guard let ms = SettingText.durationMs(value), clock.allows(ms) else {
        throw SettingError(
          "\(given): 10ms to 3650d is needed" + (clock.row.canBeOff ? ", or 0 for off" : ""))
      }
      clocksMs[clock] = ms
    } else if let limit = Limit(rawValue: String(member)) {
      let range = limit.allowed
      guard let number = SettingText.number(value.utf8[...]), range.contains(Int(number)) else {
        throw SettingError("\(given): \(range.lowerBound) to \(range.upperBound) is needed")
      }
      limits[limit] = Int(number)
    } else if member == "full" {
      guard ["trim", "refuse"].contains(value) else {
        throw SettingError("\(given): trim or refuse is needed")
      }
      refusesWhenFull = value == "refuse"
    } else if member == "at-most" {
      guard ["refuse", "evict"].contains(value) else {
        throw SettingError("\(given): refuse or evict is needed")
      }
      evicts = value == "evict"
    } else {
      throw SettingError("\(SettingText.shown(String(member))) is nothing that a policy sets")
    }
  }
}
