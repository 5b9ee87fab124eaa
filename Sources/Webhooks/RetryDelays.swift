// Owns: how long a delivery that failed waits before it is tried again. Pure values; any thread.

/// The delays between attempts: 1, 2, 4 … 60 s, each up to a quarter longer, so that what failed
/// at one moment does not come back at one moment.
package enum RetryDelays {
  package static let firstMs: Int64 = 1_000
  /// The longest one, before its jitter.
  package static let lastMs: Int64 = 60_000

  /// The delay after so many attempts that failed, at least one, in ms.
  ///
  /// A receiver's `Retry-After` makes it longer, up to the longest one: it cannot stop its hook for
  /// hours.
  package static func delayMs(
    afterAttempts attempts: Int, retryAfterMs: Int64? = nil,
    using source: inout some RandomNumberGenerator
  ) -> Int64 {
    let doublings = min(max(0, attempts - 1), 6)
    let own = min(firstMs << doublings, lastMs)
    let base = max(own, min(retryAfterMs ?? 0, lastMs))
    // A number below 2^32 as a share of 2^32: no draw is ever repeated.
    return base + Int64((UInt64(base / 4) * (source.next() >> 32)) >> 32)
  }
}
