// Owns: the warnings that callers can cause as often as they like: each is logged at most once in a
// while, so that they cannot fill the log. A value, without a clock; on its loop's thread.

internal import Wire

/// An act of a caller that concerns an operator.
enum CallerWarning: Hashable {
  case wrongSecret
  case otherProtocol(OtherProtocol)

  var text: String {
    switch self {
    case .wrongSecret: "invalid secret"
    case .otherProtocol: "a connection that speaks another protocol was closed"
    }
  }
}

/// At most one line for each cause within a while, with how many there were.
struct CallerWarnings {
  /// The occurrences of one cause that are not in the log.
  private struct Entry {
    var loggedAtMs: Int64
    var count = 0
    var peer = ""
  }

  /// One line of the log.
  struct Line: Equatable {
    let warning: CallerWarning
    /// The latest caller's address.
    let peer: String
    /// How many there were since the line before.
    let count: Int
  }

  /// How long a cause is silent after a line.
  static let intervalMs: Int64 = 10_000

  /// As many as there are causes.
  private var entries: [CallerWarning: Entry] = [:]

  /// Counts one; the line to log now, unless there was one of this cause a moment ago.
  mutating func happened(_ warning: CallerWarning, from peer: String, nowMs: Int64) -> Line? {
    guard var entry = entries[warning] else {
      entries[warning] = Entry(loggedAtMs: nowMs)
      return Line(warning: warning, peer: peer, count: 1)
    }
    entry.count += 1
    entry.peer = peer
    entries[warning] = entry
    return take(warning, entry, nowMs)
  }

  /// The lines of what has happened since and whose time has come.
  mutating func due(nowMs: Int64) -> [Line] {
    entries.compactMap { $0.value.count > 0 ? take($0.key, $0.value, nowMs) : nil }
  }

  private mutating func take(_ warning: CallerWarning, _ entry: Entry, _ nowMs: Int64) -> Line? {
    guard nowMs - entry.loggedAtMs >= CallerWarnings.intervalMs else { return nil }
    entries[warning] = Entry(loggedAtMs: nowMs)
    return Line(warning: warning, peer: entry.peer, count: entry.count)
  }
}
