// Owns: the reaping of due deadlines: calls Redis when the schedule says so, and counts the
// results. Runs on the main thread.

package import Loop
internal import Metrics
internal import RedisConnection
internal import Scripts
package import SessionModel
package import Store

/// Ends locks and sessions whose deadlines have passed.
package final class Reaper {
  private let loop: EventLoop
  private let store: ControlStore
  private let context: DeadlineContext
  private let reconciler: LinkReconciler
  private var schedule: ReapSchedule
  private var timer: LoopTimer?
  private var reader: MailboxReader<Partition>?
  private var running = 0
  private var causes = [ReapCause](repeating: .sweep, count: Partition.count)

  /// Entries taken in one call, which bounds how long it occupies Redis.
  private let entriesMax = 128
  /// Calls under way at once, so that a storm leaves room for callers in between.
  private let runningMax = 16
  /// When an entry that could not be ended is tried again.
  private let retryMs: Int64 = 60_000

  package init(_ loop: EventLoop, _ store: ControlStore, _ context: DeadlineContext) {
    self.loop = loop
    self.store = store
    self.context = context
    reconciler = LinkReconciler(store)
    schedule = ReapSchedule(
      sweepMs: context.sweepMs,
      share: PartitionShare(worker: context.workerID, living: []), nowMs: loop.nowMs)
    timer = LoopTimer(loop) { [unowned self] in run() }
    reader = MailboxReader(loop, context.mailbox) { [unowned self] partition in
      guard let atMs = context.upcoming.take(partition) else { return }
      schedule.deadlineKnown(partition.index, atMs: atMs, isOwn: true)
    }
    loop.atTurnEnd { [weak self] in self?.setTimer() }
  }

  /// Redis said that a key has expired.
  package func notified(_ partition: Partition) {
    schedule.notified(partition.index, nowMs: loop.nowMs)
  }

  /// Notifications may have been missed.
  package func catchUp() { schedule.reconnected(nowMs: loop.nowMs) }

  /// The live workers, as the heartbeat read them.
  package func share(_ share: PartitionShare) { schedule.shared(share, nowMs: loop.nowMs) }

  private func setTimer() {
    guard running < runningMax, store.isReady, let atMs = schedule.nextAtMs else {
      timer?.cancel()
      return
    }
    timer?.set(afterMs: atMs - loop.nowMs)
  }

  private func run() {
    guard store.isReady else { return }
    for (index, cause) in schedule.take(nowMs: loop.nowMs, most: runningMax - running) {
      reap(Partition(index: index), cause)
    }
  }

  private func reap(_ partition: Partition, _ cause: ReapCause) {
    running += 1
    causes[partition.index] = cause
    store.call(
      ScriptQuery(ReapCall(limit: Int64(entriesMax), retryMs: retryMs), at: partition)
    ) { [unowned self] result in
      running -= 1
      guard case .success(let reply) = result, reply.count == 5, let wait = reply[0].integer,
        let found = reply[1].integer
      else {
        schedule.failed(partition.index, nowMs: loop.nowMs)
        failed(result)
        return
      }
      schedule.reaped(
        partition.index, nextInMs: wait < 0 ? nil : wait, hasMore: found >= entriesMax,
        nowMs: loop.nowMs)
      count(cause, found: Int(found), late: reply[2])
      if context.log.isDebugging {
        context.log.debug(
          "reaped",
          ["partition": "\(partition.index)", "cause": cause.label, "found": "\(found)"])
      }
      for entry in reply[4].elements { reconciler.run(entry.text, from: partition) }
      for failure in reply[3].elements {
        context.log.repeated(
          .error, "a deadline could not be met", ["error": String(failure.text.prefix(200))])
      }
    }
  }

  private func failed(_ result: Result<RedisReply, RedisFailure>) {
    // The owner of the connection logs its loss; a refusal by Redis is logged here.
    guard case .success(let reply) = result else { return }
    context.log.repeated(
      .warn, "a reap failed", cause: StoreError.firstWord(reply.text), ["error": reply.text])
  }

  private func count(_ cause: ReapCause, found: Int, late: RedisReply) {
    let figures = context.figures
    figures.addReap(cause, isEmpty: found == 0)
    for element in late.elements {
      figures.addEnding(cause, lateMs: Int(element.integer ?? 0))
    }
  }
}

/// A request for reap.lua.
struct ReapCall: ScriptCall {
  static let script = Script.reap
  let limit: Int64
  let retryMs: Int64

  func write(to words: inout CommandBuffer) {
    words.word(limit)
    words.word(retryMs)
  }
}
