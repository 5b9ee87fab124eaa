// Owns: the tenure of one token: its known beginning, renewals and end, and the deadlines that
// follow from them. A value; any thread.
//
// Two clocks meet here. The server's gives `acquired_at` and the `at` of events, to the
// millisecond; this machine's monotonic one says when a call was sent and answered. They are never
// compared: only lengths of time measured on one are laid onto the other.

/// The facts that are known of one token.
struct Lease: Sendable {
  let token: Int64
  let agent: Int
  /// By the server's clock; nil if only a renewal was seen.
  var acquiredAtMs: Int64?
  var ttlMs: Int64
  /// Whether the call that made the grant has its reply; a renewal or an event may come before.
  var isGrantReported = false
  /// When the calls whose replies have the grant and the latest renewal were sent and answered.
  ///
  /// Nil if only an event names this token.
  var grantedNs: ClosedRange<Int64>?
  var renewedNs: ClosedRange<Int64>?

  // MARK: Its end

  /// It was given back, at this time by the server's clock if that is known.
  var isReleased = false
  /// A HANDOFF of it was answered with OK.
  var isHandedOff = false
  var endedAtMs: Int64?
  /// The event of its end.
  var event: LockEvent?
  /// From when on it was known here that it is over.
  var knownOverNs: Int64?

  var isOver: Bool { knownOverNs != nil }

  /// How far two good clocks may run apart, in ms, over a length of time.
  ///
  /// A clock that is being set right by NTP may run half a percent fast or slow.
  static func slackMs(overMs: Int64) -> Int64 { 10 + overMs / 200 }

  /// The earliest moment at which it can have expired, by this machine's clock.
  ///
  /// A call that was answered took effect after it was sent. So a report before then that the lock
  /// is over is wrong.
  var earliestEndNs: Int64? {
    guard let grantedNs else { return nil }
    let startNs = max(grantedNs.lowerBound, renewedNs?.lowerBound ?? .min)
    return startNs + (ttlMs - Lease.slackMs(overMs: ttlMs)) * 1_000_000
  }

  /// The latest moment at which it can still have been live, by this machine's clock, if nothing
  /// has renewed it but what was answered.
  var latestEndNs: Int64? {
    guard let grantedNs else { return nil }
    let startNs = max(grantedNs.upperBound, renewedNs?.upperBound ?? .min)
    return startNs + (ttlMs + Lease.slackMs(overMs: ttlMs)) * 1_000_000
  }

  /// The earliest deadline that it can have had, by the server's clock.
  var earliestDeadlineMs: Int64? {
    guard let acquiredAtMs, let grantedNs else { return nil }
    guard let renewedNs else { return acquiredAtMs + ttlMs }
    let laterMs = max(0, renewedNs.lowerBound - grantedNs.upperBound) / 1_000_000
    let deadlineMs = acquiredAtMs + laterMs + ttlMs - Lease.slackMs(overMs: laterMs + ttlMs)
    return max(acquiredAtMs + ttlMs, deadlineMs)
  }
}
