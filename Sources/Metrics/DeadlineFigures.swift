// Owns: the figures of deadlines: written by the control loop alone, read for /metrics.

/// How reaps went, and how late endings were.
package struct DeadlineFigures: Sendable {
  /// Upper bounds of the lateness histogram's buckets, in ms; the last has none.
  package static let bucketsMs = [1, 2, 5, 10, 25, 50, 100, 250, 1_000, 5_000, 60_000, 3_600_000]

  private let reaps = NumberRow(count: ReapCause.allCases.count * 2)
  private let endings = NumberRow(count: ReapCause.allCases.count)
  private let lateness = NumberRow(count: bucketsMs.count + 2)
  private let single = NumberRow(count: 4)

  package init() {}

  package func addReap(_ cause: ReapCause, isEmpty: Bool) {
    reaps.add(1, at: cause.rawValue * 2 + (isEmpty ? 1 : 0))
  }

  package func addEnding(_ cause: ReapCause, lateMs: Int) {
    endings.add(1, at: cause.rawValue)
    var bucket = 0
    while bucket < Self.bucketsMs.count, lateMs > Self.bucketsMs[bucket] { bucket += 1 }
    lateness.add(1, at: bucket)
    lateness.add(lateMs, at: Self.bucketsMs.count + 1)
  }

  package func reapCount(_ cause: ReapCause, isEmpty: Bool) -> Int {
    reaps[cause.rawValue * 2 + (isEmpty ? 1 : 0)]
  }
  package func endingCount(_ cause: ReapCause) -> Int { endings[cause.rawValue] }
  package func latenessCount(bucket: Int) -> Int { lateness[bucket] }
  package var latenessSumMs: Int { lateness[Self.bucketsMs.count + 1] }

  /// Expiry notifications received for keys of this namespace.
  package var notifications: Int { single[0] }
  package func addNotification() { single.add(1, at: 0) }

  /// Whether notifications come, as far as the canary shows.
  package var notificationsLive: Bool { single[1] == 1 }
  package func setNotificationsLive(_ live: Bool) { single.set(live ? 1 : 0, at: 1) }

  /// How many workers live, this one included.
  package var workers: Int { single[2] }
  package func setWorkers(_ count: Int) { single.set(count, at: 2) }

  /// How many partitions this worker owns.
  package var partitionsOwned: Int { single[3] }
  package func setPartitionsOwned(_ count: Int) { single.set(count, at: 3) }
}
