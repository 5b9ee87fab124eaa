// Owns: the difference between the server's clock and this machine's monotonic one, from replies
// with a time of the server. A value; any thread.

/// An estimate of the server's time.
///
/// A grant that was asked for at `a` and answered at `b` was made in between, and says when by the
/// server's clock. Each such reply bounds the difference; the closest bounds of the last seconds
/// are kept, so that a clock that drifts is followed.
struct ServerClock: Sendable {
  private struct Bounds: Sendable {
    var low = Int64.min
    var high = Int64.max

    var isEmpty: Bool { low == .min }
    var isSound: Bool { low <= high }

    mutating func narrow(_ lowNs: Int64, _ highNs: Int64) {
      low = max(low, lowNs)
      high = min(high, highNs)
    }
  }

  private static let windowNs: Int64 = 10_000_000_000
  private var current = Bounds()
  private var previous = Bounds()
  private var windowEndNs: Int64 = 0

  mutating func observe(serverMs: Int64, invokedNs: Int64, returnedNs: Int64) {
    if returnedNs > windowEndNs {
      previous = current
      current = Bounds()
      windowEndNs = returnedNs + ServerClock.windowNs
    }
    let low = serverMs * 1_000_000 - returnedNs
    let high = (serverMs + 1) * 1_000_000 - invokedNs
    current.narrow(low, high)
    // A clock that has jumped contradicts what it said before.
    if !current.isSound {
      current = Bounds()
      current.narrow(low, high)
      previous = Bounds()
    }
  }

  /// The difference to add to this machine's time to get the server's; nil while nothing is known.
  var offsetNs: Int64? {
    guard !current.isEmpty || !previous.isEmpty else { return nil }
    var both = current
    if !previous.isEmpty { both.narrow(previous.low, previous.high) }
    if !both.isSound { both = current.isEmpty ? previous : current }
    return both.low + (both.high - both.low) / 2
  }

  /// How far the estimate can be off.
  var errorNs: Int64 {
    var both = current
    if !previous.isEmpty { both.narrow(previous.low, previous.high) }
    guard !both.isEmpty, both.isSound else { return 0 }
    return (both.high - both.low) / 2
  }

  /// How long after a moment of the server's clock a moment of this machine's is; at least 0.
  func lateNs(_ nowNs: Int64, after serverMs: Int64) -> Int64? {
    offsetNs.map { max(0, nowNs + $0 - serverMs * 1_000_000) }
  }
}
