// Owns: the course of a worker's stop as its callers see it. A value without clock; the loop's
// thread.

/// What a connection is doing, as far as a drain or a time-out asks.
struct ConnectionActivity {
  /// Whether nothing is owed to the caller and nothing of a request has come.
  var isQuiet = true
  /// When the latest bytes came, in monotonic ms.
  var activeAtMs: Int64 = 0
  /// Whether its caller was told that the worker is stopping.
  var isToldToLeave = false
}

/// From the order to stop to the last connection's end.
///
/// Within the grace callers are served, and a quiet connection is closed. In its last part callers
/// who go on asking are told to go elsewhere, and closed once they have been; a connection that is
/// left when the grace is over, with half a line or replies that its caller does not read, is cut
/// off.
struct Drain {
  let startedMs: Int64
  let graceMs: Int64

  /// A connection is closed once it has been quiet for so long.
  static let quietMs: Int64 = 100
  /// In the last part of the grace callers are told to go elsewhere: for so long at most.
  static let sheddingMs: Int64 = 500
  /// How often connections are looked at.
  static let everyMs: Int64 = 20

  /// What is to become of a connection now.
  enum Verdict: Equatable {
    case stays
    /// Answer what is owed, then close; unless bytes have come in this very moment.
    case finish
    case cutOff
  }

  /// Whether what comes now is told to go elsewhere.
  func isShedding(nowMs: Int64) -> Bool {
    nowMs - startedMs >= graceMs - min(Drain.sheddingMs, graceMs / 2)
  }

  func verdict(_ activity: ConnectionActivity, nowMs: Int64) -> Verdict {
    guard nowMs - startedMs < graceMs else { return .cutOff }
    guard activity.isQuiet else { return .stays }
    let isDone = activity.isToldToLeave || nowMs - activity.activeAtMs >= Drain.quietMs
    return isDone ? .finish : .stays
  }
}
