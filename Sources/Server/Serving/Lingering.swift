// Owns: the deadlines of callers that have been sent the end of the stream and have to close their
// side. A value without clock; the loop's thread.

internal import Store

/// Connections that wait for their callers to close them, soonest end first.
struct Lingering {
  private var entries: ArraySlice<(id: ConnectionID, untilMs: Int64)> = []

  /// How long a caller has, in ms.
  static let usualMs: Int64 = 2_000
  /// The same while the worker is stopping.
  static let drainMs: Int64 = 500

  /// When the first of them has had its time; nil if there is none.
  var nextMs: Int64? { entries.first?.untilMs }

  /// A connection begins to wait; times of later ones never end sooner.
  mutating func add(_ id: ConnectionID, untilMs: Int64) { entries.append((id, untilMs)) }

  /// The worker is stopping: no caller has longer than until then.
  mutating func hurry(untilMs: Int64) {
    entries = ArraySlice(entries.map { ($0.id, min($0.untilMs, untilMs)) })
  }

  /// Takes one whose time is over.
  mutating func takeDue(nowMs: Int64) -> ConnectionID? {
    guard let first = entries.first, first.untilMs <= nowMs else { return nil }
    entries.removeFirst()
    return first.id
  }
}
