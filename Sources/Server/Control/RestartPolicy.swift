// Owns: when an embedded Redis that has ended is started again, and when it is given up. A value,
// without a clock.

/// The restarts of an embedded Redis.
struct RestartPolicy {
  /// So many ends in a row without having served have a cause that no restart removes.
  static let failedStartsMax = 7
  /// One that has run for longer is started again at once.
  static let shortRunMs: Int64 = 5_000
  private static let waitMs: ClosedRange<Int64> = 50...2_000

  private var failedStarts = 0
  private var shortRuns = 0

  /// It has ended, or could not be started; returns how many ms to wait before the next start, or
  /// nil if there is to be none.
  mutating func ended(ranMs: Int64, hasServed: Bool) -> Int64? {
    failedStarts = hasServed ? 0 : failedStarts + 1
    shortRuns = ranMs > RestartPolicy.shortRunMs ? 0 : shortRuns + 1
    guard failedStarts < RestartPolicy.failedStartsMax else { return nil }
    let doubled = RestartPolicy.waitMs.lowerBound << min(shortRuns, 16)
    return min(doubled, RestartPolicy.waitMs.upperBound)
  }
}
