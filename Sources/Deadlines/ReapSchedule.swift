// Owns: the schedule of reaps: which partition, when, and why. A value without clock or Redis; the
// shell in Reaper.swift performs it.

internal import Metrics
internal import SessionModel

/// The schedule of all partitions.
struct ReapSchedule {
  private struct Entry {
    var atMs: Int64
    var cause: ReapCause
    var isRunning = false
  }

  private var entries: [Entry]
  private var share: PartitionShare
  private let sweepMs: Int64
  private let startMs: Int64
  /// How much later each worker acts than the one before it in a partition's ranks.
  private let stepMs: Int64 = 25
  /// When a failed reap is tried again.
  private let retryMs: Int64 = 500
  /// Workers of a higher rank than this act only in their sweep.
  private let rankMax = 2

  /// Spreads the sweep evenly over its time.
  init(sweepMs: Int64, share: PartitionShare, nowMs: Int64) {
    self.sweepMs = sweepMs
    self.share = share
    startMs = nowMs
    entries = (0..<Partition.count).map { index in
      Entry(atMs: nowMs + sweepMs * Int64(index) / Int64(Partition.count), cause: .sweep)
    }
  }

  /// The next moment at which something is to be reaped; nil while all reaps are under way.
  var nextAtMs: Int64? {
    var soonest: Int64?
    for entry in entries where !entry.isRunning {
      soonest = min(soonest ?? entry.atMs, entry.atMs)
    }
    return soonest
  }

  /// Something in the partition falls due at that time.
  ///
  /// `isOwn`: this worker's clients set it, so perhaps no other worker knows.
  mutating func deadlineKnown(_ partition: Int, atMs: Int64, isOwn: Bool) {
    let rank = share.rank(partition)
    guard rank <= rankMax || isOwn else { return }
    hasten(partition, atMs + stepMs * Int64(min(rank, rankMax)), .deadline)
  }

  /// Redis said that a key of the partition has expired.
  mutating func notified(_ partition: Int, nowMs: Int64) {
    let rank = share.rank(partition)
    guard rank <= rankMax else { return }
    hasten(partition, nowMs + stepMs * Int64(rank), .notification)
  }

  /// Notifications may have been missed: reap every partition.
  mutating func reconnected(nowMs: Int64) {
    for index in entries.indices {
      entries[index].isRunning = false
      hasten(index, nowMs, .reconnect)
    }
  }

  /// The set of live workers has changed.
  ///
  /// A dead worker may have been the only one to know of a deadline, in any partition.
  mutating func shared(_ share: PartitionShare, nowMs: Int64) {
    let isOneGone = share.workers < self.share.workers
    for index in entries.indices {
      let isNew = share.rank(index) == 0 && self.share.rank(index) > 0
      if isOneGone || isNew { hasten(index, nowMs, .sweep) }
    }
    self.share = share
  }

  /// The partitions to reap now, most overdue first, and why; they count as under way.
  mutating func take(nowMs: Int64, most: Int) -> [(partition: Int, cause: ReapCause)] {
    var due = entries.indices.filter { !entries[$0].isRunning && entries[$0].atMs <= nowMs }
    due.sort { entries[$0].atMs < entries[$1].atMs }
    return due.prefix(most).map { index in
      let cause = entries[index].cause
      entries[index] = Entry(atMs: sweepAtMs(index, after: nowMs), cause: .sweep, isRunning: true)
      return (index, cause)
    }
  }

  /// A reap has been answered: so many ms until the partition's next deadline (nil: none), and
  /// whether it left some that are due already.
  mutating func reaped(_ partition: Int, nextInMs: Int64?, hasMore: Bool, nowMs: Int64) {
    entries[partition].isRunning = false
    if hasMore {
      hasten(partition, nowMs, entries[partition].cause)
    } else if let nextInMs {
      // A millisecond later than it says: what is due at a moment is due after it.
      deadlineKnown(partition, atMs: nowMs + nextInMs + 1, isOwn: false)
    }
  }

  /// A reap failed: Redis is away, or refuses for the moment.
  mutating func failed(_ partition: Int, nowMs: Int64) {
    entries[partition].isRunning = false
    hasten(partition, nowMs + retryMs, entries[partition].cause)
  }

  /// The partition's next place in the sweep, one period later at the most.
  ///
  /// It keeps its place whatever else it was reaped for: otherwise all partitions, once reaped at
  /// the same time after a reconnect, would stay together in every sweep.
  private func sweepAtMs(_ partition: Int, after nowMs: Int64) -> Int64 {
    // Workers of a high rank sweep less often, so that a large fleet does not load Redis too much.
    let periodMs = share.rank(partition) <= rankMax ? sweepMs : sweepMs * 4
    let firstMs = startMs + periodMs * Int64(partition) / Int64(Partition.count)
    guard nowMs >= firstMs else { return min(firstMs, nowMs + periodMs) }
    return nowMs + periodMs - (nowMs - firstMs) % periodMs
  }

  private mutating func hasten(_ partition: Int, _ atMs: Int64, _ cause: ReapCause) {
    guard atMs < entries[partition].atMs else { return }
    entries[partition].atMs = atMs
    entries[partition].cause = cause
  }
}
