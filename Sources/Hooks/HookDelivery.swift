// Owns: the delivery of all hooks by this worker: which there are, which partitions are its own,
// what it reads, sends, acknowledges and gives back. Runs on the thread of the hooks.

internal import Events
package import Loop
internal import RedisConnection
internal import Scripts
package import SessionModel
package import Store
internal import Webhooks
internal import Wire

/// What the control loop has for the delivery.
package enum HookOrder: Sendable {
  /// These are all hooks.
  case hooks(HookListing)
  /// These partitions are this worker's.
  case share(PartitionSet)
  /// These partitions have new events.
  case news(PartitionSet)
  /// Finish what is under way within so many ms, and give the rest back.
  case drain(graceMs: Int64)
}

/// Delivers the events of hooks.
package final class HookDelivery {
  let loop: EventLoop
  let store: ControlStore
  let setup: HookSetup
  var works: [String: HookWork] = [:]
  private(set) var owned = PartitionSet()
  private(set) var isDraining = false
  /// The calls of Redis without an answer.
  var calls = 0
  /// Whether one of them reads the definitions anew.
  var isLookingAgain = false
  /// The time of the latest listing of all hooks, by Redis' clock.
  var listedAtMs: Int64 = 0
  private var tick: LoopTimer?
  private var soon: LoopTimer?
  private var soonAtMs = Int64.max
  private var grace: LoopTimer?
  private let ended: () -> Void
  private var hasEnded = false

  /// How often held events are claimed again, and figures are noted.
  private static let tickMs: Int64 = 1_000
  /// After a failed call, or where another worker holds events, the next read comes so late.
  static let retryMs: Int64 = 250
  /// Reads that time brings come no closer together.
  private static let pauseMs: Int64 = 20
  /// All partitions are read so often at least, in case the tail cannot follow the logs.
  static let wholeEveryMs: Int64 = 30_000

  /// `ended` follows once after a drain.
  package init(
    _ loop: EventLoop, _ store: ControlStore, _ setup: HookSetup, ended: @escaping () -> Void
  ) {
    (self.loop, self.store, self.setup, self.ended) = (loop, store, setup, ended)
    tick = LoopTimer(loop) { [unowned self] in tickCame() }
    soon = LoopTimer(loop) { [unowned self] in
      soonAtMs = .max
      advanceAll()
    }
    grace = LoopTimer(loop) { [unowned self] in graceIsOver() }
    tick?.set(afterMs: HookDelivery.tickMs)
  }

  package func obey(_ order: HookOrder) {
    switch order {
    case .hooks(let listing): hooksAre(listing)
    case .share(let partitions): shareIs(partitions)
    case .news(let partitions):
      for work in works.values { work.newsCame(partitions) }
      advanceAll()
    case .drain(let graceMs): drain(graceMs)
    }
  }

  func advanceAll() { for work in Array(works.values) { advance(work) } }

  /// Does what is due for a hook.
  func advance(_ work: HookWork) {
    guard works[work.name] === work else { return }
    let nowMs = loop.nowMs
    work.queue.timePassed(nowMs: nowMs)
    if !work.hold.isSure(nowMs: nowMs), nowMs - work.claimedAtMs >= HookDelivery.retryMs {
      claim(work)
    }
    let hold = work.hold
    while !isDraining,
      let event = work.queue.next(where: { hold.isSure(of: $0, nowMs: nowMs) })
    {
      send(event, work)
    }
    read(work)
    acknowledge(work)
    setSoon(work)
    endIfDone()
  }

  /// Sets the timer for what time brings; a needless firing does no harm.
  private func setSoon(_ work: HookWork) {
    let canSend = work.queue.underWay == 0 || !work.queue.isDown
    let readsAtMs = work.readsAtMs.map { max($0, loop.nowMs + HookDelivery.pauseMs) }
    let due = [canSend ? work.queue.dueAtMs : nil, readsAtMs].compactMap(\.self).min()
    guard let due, due < soonAtMs else { return }
    soonAtMs = due
    soon?.set(afterMs: max(1, due - loop.nowMs))
  }
}

// MARK: Partitions

extension HookDelivery {
  /// What is not under way in partitions that are another worker's now is given back to it.
  private func shareIs(_ partitions: PartitionSet) {
    guard !isDraining else { return }
    var gained = partitions
    gained.subtract(owned)
    owned = partitions
    for work in works.values {
      giveBack(work, work.queue.release { !partitions.contains($0) })
      work.newsCame(gained)
    }
    advanceAll()
  }
}

// MARK: The drain

extension HookDelivery {
  private func drain(_ graceMs: Int64) {
    isDraining = true
    owned = PartitionSet()
    for work in works.values { giveBack(work, work.queue.release { _ in true }) }
    grace?.set(afterMs: graceMs)
    advanceAll()
    endIfDone()
  }

  private func graceIsOver() {
    for work in works.values {
      for (id, ticket) in work.tickets {
        work.sender?.cancel(ticket)
        giveBack(work, [id])
      }
      works[work.name] = nil
    }
    finish()
  }

  func endIfDone() {
    guard isDraining, calls == 0,
      works.values.allSatisfy({ $0.tickets.isEmpty && $0.done.isEmpty && !$0.isAcknowledging })
    else { return }
    for work in works.values where !work.hasSaidLast {
      work.hasSaidLast = true
      note(work)
    }
    // What these have said last is in Redis when it has answered.
    guard calls == 0 else { return }
    works = [:]
    finish()
  }

  private func finish() {
    guard !hasEnded else { return }
    hasEnded = true
    tick?.cancel()
    soon?.cancel()
    grace?.cancel()
    ended()
  }
}

// MARK: What comes again and again

extension HookDelivery {
  private func tickCame() {
    tick?.set(afterMs: HookDelivery.tickMs)
    for work in works.values {
      claim(work)
      note(work)
      if loop.nowMs - work.wholeAtMs >= HookDelivery.wholeEveryMs {
        work.wholeBegins(nowMs: loop.nowMs)
        work.newsCame(owned)
      }
    }
    publish()
    advanceAll()
  }

  func call(
    _ query: ScriptQuery, _ done: @escaping (Result<RedisReply, RedisFailure>) -> Void
  ) {
    calls += 1
    store.call(query) { [unowned self] result in
      calls -= 1
      done(result)
      endIfDone()
    }
  }

  /// Adds this worker's figures to those in Redis, if there is something new.
  private func note(_ work: HookWork) {
    guard let request = work.takeNote(worker: setup.workerID, nowMs: loop.nowMs) else { return }
    call(ScriptQuery(request, at: Keyspace.figures)) { result in
      guard case .success(let reply) = result else { return work.noteEnded(isAnswered: false) }
      work.noteEnded(isAnswered: ["OK", "NONE"].contains(reply.text))
    }
  }

  /// Shows the figures to /metrics.
  private func publish() {
    let nowMs = WallTime.nowMs()
    setup.gauges.set(
      works.values.map { work in
        HookStatus(
          name: work.name, held: work.queue.count, underWay: work.queue.underWay,
          lagMs: work.queue.oldestMs.map { max(0, nowMs - $0) } ?? 0,
          delivered: work.delivered, failed: work.failed, isDown: work.queue.isDown)
      }.sorted { $0.name < $1.name })
  }
}
