// Owns: the course of a drain. A value without clock; the loop's thread.

/// A connection's activity, for drains and time-outs.
struct ConnectionActivity {
  /// Whether the caller awaits nothing and no part of a request has come.
  var isQuiet = true
  /// Whether the caller awaits replies that are not made yet.
  var awaitsReplies = false
  /// Whether it only waits for the caller to close its side, for which it has a time of its own.
  var isLingering = false
  /// When the latest bytes came, or the connection, in monotonic ms.
  var activeAtMs: Int64 = 0
  /// Whether its caller has been answered that the worker is draining.
  var hasDrainNotice = false
  /// Whether any request has come on it.
  var hasAsked = true
  /// Whether its caller goes on asking since the signal to stop.
  var asksOn = false
}

/// What came on a connection since the signal to stop.
struct DrainTally {
  /// Whether its caller has been answered that the worker is draining.
  var hasNotice = false
  var requests = 0
}

extension Connection {
  /// Whether the caller awaits replies that are not made yet.
  var awaitsReplies: Bool { machine.unanswered > 0 }

  /// Its activity, as a drain needs it.
  var activity: ConnectionActivity {
    ConnectionActivity(
      isQuiet: isQuiet, awaitsReplies: awaitsReplies, isLingering: machine.isLingering,
      activeAtMs: activeAtMs, hasDrainNotice: drainTally.hasNotice,
      hasAsked: replies.hasBegun, asksOn: drainTally.requests >= Drain.asksOnFrom)
  }
}

/// From the end of accepting to the last connection's end.
///
/// Within the grace requests are served, and quiet connections are closed. In its last part further
/// requests get ERR draining, and their connections are closed after that; a connection that is
/// left when the grace is over, with half a line or replies that its caller does not read, is cut
/// off. Requests that are with Redis then are answered, which takes `--request-timeout` at most.
///
/// A caller that goes on asking may send a request at the very moment in which its connection is
/// closed. So its connection ends with ERR draining, whether a request has come or not: that is
/// the answer to one that is under way, and nothing that comes later is done.
struct Drain {
  let startedMs: Int64
  let graceMs: Int64
  /// By when a request has its reply.
  let replyMs: Int64

  /// Connections that the kernel has begun are accepted for so long.
  static let acceptMs: Int64 = 100
  /// A connection is closed once it has been quiet for so long.
  static let quietMs: Int64 = 100
  /// One on which no request has come yet has so long for its first one.
  static let firstRequestMs: Int64 = 1_000
  /// A caller that goes on asking has paused once it has been quiet for so long.
  static let pauseMs: Int64 = 500
  /// From so many requests since the signal to stop on, a caller goes on asking.
  static let asksOnFrom = 2
  /// In the last part of the grace requests get ERR draining: for so long at most.
  static let sheddingMs: Int64 = 500
  /// How often connections are checked.
  static let everyMs: Int64 = 20

  /// The decision about a connection.
  enum Verdict: Equatable {
    case stays
    /// Answer what is outstanding, then close; unless bytes have come in this very moment.
    case finish
    /// The same, with ERR draining as the last line.
    case dismiss
    case cutOff
  }

  /// Whether requests get ERR draining from now on.
  func isShedding(nowMs: Int64) -> Bool {
    nowMs - startedMs >= graceMs - min(Drain.sheddingMs, graceMs / 2)
  }

  func verdict(_ activity: ConnectionActivity, nowMs: Int64) -> Verdict {
    guard !activity.isLingering else { return .stays }
    guard nowMs - startedMs < graceMs else {
      guard activity.awaitsReplies, nowMs - startedMs < graceMs + replyMs else { return .cutOff }
      return activity.asksOn && !activity.hasDrainNotice ? .dismiss : .finish
    }
    guard activity.isQuiet else { return .stays }
    guard !activity.hasDrainNotice else { return .finish }
    let quietForMs = nowMs - activity.activeAtMs
    if activity.asksOn {
      return isShedding(nowMs: nowMs) || quietForMs >= Drain.pauseMs ? .dismiss : .stays
    }
    let mostMs = activity.hasAsked ? Drain.quietMs : Drain.firstRequestMs
    return quietForMs >= mostMs ? .finish : .stays
  }
}
