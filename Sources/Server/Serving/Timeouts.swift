// Owns: the time-outs of callers. A value without clock; the loop's thread.

internal import Settings

/// Since when a connection waits for its caller, in monotonic ms; nil where it does not.
struct ConnectionWaits {
  /// For it to read what it is sent.
  var unreadSinceMs: Int64?
  /// For the end of a line.
  var lineSinceMs: Int64?
  /// For its authentication.
  var unknownSinceMs: Int64?
  /// For a request.
  var askedAtMs: Int64 = 0
  /// Whether the caller awaits nothing and no part of a request has come.
  var isQuiet = true
  /// Whether it takes no more requests, for good.
  var isEnding = false
}

extension Connection {
  /// Its waits, and since when.
  var waits: ConnectionWaits {
    ConnectionWaits(
      unreadSinceMs: blockedSinceMs, lineSinceMs: takesRequests ? lineSinceMs : nil,
      unknownSinceMs: principal == nil ? unknownSinceMs : nil, askedAtMs: askedAtMs,
      isQuiet: isQuiet, isEnding: isEnding)
  }
}

/// The reason of a time-out.
enum Timeout: Equatable {
  case unread, line, auth, idle
}

/// The settings' time-outs; one of 0 is none.
struct Timeouts {
  let unreadMs: Int64
  let lineMs: Int64
  let authMs: Int64
  let idleMs: Int64

  init(_ settings: Settings) {
    unreadMs = settings.unreadTimeoutMs
    lineMs = settings.lineTimeoutMs
    authMs = settings.authTimeoutMs
    idleMs = settings.idleTimeoutMs
  }

  /// How often connections are checked: a few times within the shortest time-out.
  var everyMs: Int64 {
    max(20, [idleMs, lineMs, unreadMs, authMs].filter { $0 > 0 }.reduce(4_000, min) / 4)
  }

  /// The time-out that is over; of several, the first that ends the connection soonest.
  func over(_ waits: ConnectionWaits, nowMs: Int64) -> Timeout? {
    func isOver(_ sinceMs: Int64?, _ limitMs: Int64) -> Bool {
      guard let sinceMs, limitMs > 0 else { return false }
      return nowMs - sinceMs >= limitMs
    }
    if isOver(waits.unreadSinceMs, unreadMs) { return .unread }
    guard !waits.isEnding else { return nil }
    if isOver(waits.lineSinceMs, lineMs) { return .line }
    if isOver(waits.unknownSinceMs, authMs) { return .auth }
    return isOver(waits.askedAtMs, idleMs) && waits.isQuiet ? .idle : nil
  }
}
