// Owns: the course of a drain. A value without clock; the loop's thread.

/// A connection's activity, for drains and time-outs.
struct ConnectionActivity {
  /// Whether the caller awaits nothing and no part of a request has come.
  var isQuiet = true
  /// When the latest bytes came, in monotonic ms.
  var activeAtMs: Int64 = 0
  /// Whether its caller has been answered that the worker is draining.
  var hasDrainNotice = false
}

extension Connection {
  /// Its activity, as a drain needs it.
  var activity: ConnectionActivity {
    ConnectionActivity(isQuiet: isQuiet, activeAtMs: activeAtMs, hasDrainNotice: hasDrainNotice)
  }
}

/// From the stop signal to the last connection's end.
///
/// Within the grace requests are served, and quiet connections are closed. In its last part further
/// requests get ERR draining, and their connections are closed after that; a connection that is
/// left when the grace is over, with half a line or replies that its caller does not read, is cut
/// off.
struct Drain {
  let startedMs: Int64
  let graceMs: Int64

  /// A connection is closed once it has been quiet for so long.
  static let quietMs: Int64 = 100
  /// In the last part of the grace requests get ERR draining: for so long at most.
  static let sheddingMs: Int64 = 500
  /// How often connections are checked.
  static let everyMs: Int64 = 20

  /// The decision about a connection.
  enum Verdict: Equatable {
    case stays
    /// Answer what is outstanding, then close; unless bytes have come in this very moment.
    case finish
    case cutOff
  }

  /// Whether requests get ERR draining from now on.
  func isShedding(nowMs: Int64) -> Bool {
    nowMs - startedMs >= graceMs - min(Drain.sheddingMs, graceMs / 2)
  }

  func verdict(_ activity: ConnectionActivity, nowMs: Int64) -> Verdict {
    guard nowMs - startedMs < graceMs else { return .cutOff }
    guard activity.isQuiet else { return .stays }
    let isDone = activity.hasDrainNotice || nowMs - activity.activeAtMs >= Drain.quietMs
    return isDone ? .finish : .stays
  }
}
