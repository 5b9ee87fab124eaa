// Owns: tests of the schedule of reaps, by steps of its clock.

import Metrics
import SessionModel
import Testing

@testable import Deadlines

struct ReapScheduleTests {
  private let sweepMs: Int64 = 1_000
  private var schedule: ReapSchedule

  init() {
    let alone = PartitionShare(worker: "w", living: ["w"])
    schedule = ReapSchedule(sweepMs: 1_000, share: alone, nowMs: 0)
  }

  /// What is reaped at each ms of a span; each reap is answered at once, and finds no deadline.
  private mutating func reaps(
    _ span: Range<Int64>
  ) -> [(atMs: Int64, partition: Int, cause: ReapCause)] {
    span.flatMap { atMs in
      let taken = schedule.take(nowMs: atMs, most: Partition.count)
      for reap in taken {
        schedule.reaped(reap.partition, nextInMs: nil, hasMore: false, nowMs: atMs)
      }
      return taken.map { (atMs, $0.partition, $0.cause) }
    }
  }

  @Test mutating func `a sweep comes to each partition once, spread over its time`() {
    for start in stride(from: Int64(0), to: 3_000, by: 1_000) {
      let sweep = reaps(start..<start + sweepMs)
      #expect(sweep.count == Partition.count && sweep.allSatisfy { $0.cause == .sweep })
      #expect(Set(sweep.map(\.partition)).count == Partition.count)
      #expect(Dictionary(grouping: sweep, by: \.atMs).values.allSatisfy { $0.count == 1 })
    }
  }

  @Test mutating func `after a reconnect, which reaps all at once, the sweep is spread again`() {
    _ = reaps(0..<1_301)
    schedule.reconnected(nowMs: 1_301)
    let all = reaps(1_301..<1_302)
    #expect(all.count == Partition.count && all.allSatisfy { $0.cause == .reconnect })
    let sweep = reaps(1_302..<2_302)
    #expect(Set(sweep.map(\.partition)).count == Partition.count)
    #expect(Dictionary(grouping: sweep, by: \.atMs).values.allSatisfy { $0.count == 1 })
  }

  @Test mutating func `a partition that is reaped for deadlines is swept within the period`() {
    var reapedAtMs: [Int64] = []
    for atMs in Int64(0)..<4_000 {
      if atMs < 2_000, atMs % 137 == 0 { schedule.deadlineKnown(7, atMs: atMs, isOwn: true) }
      reapedAtMs += reaps(atMs..<atMs + 1).filter { $0.partition == 7 }.map(\.atMs)
    }
    #expect(zip(reapedAtMs, reapedAtMs.dropFirst()).allSatisfy { $1 - $0 <= sweepMs })
    #expect(reapedAtMs.count { $0 >= 3_000 } == 1)
    #expect(reapedAtMs.contains(137) && reapedAtMs.contains(13 * 137))
  }
}
