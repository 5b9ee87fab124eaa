// Owns: what a loop does about events: sends them to those who watch, and keeps those who wait
// with `wait=` until something comes or their time is over. Runs on the loop's thread.

internal import Loop
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Wire

/// One loop's desk for events.
final class EventDesk {
  /// Somebody who asked with `wait=` and got nothing yet.
  private struct Waiter {
    let ticket: Ticket
    let query: EventQuery
    var untilMs: Int64
    /// Whether Redis is being asked for it now.
    var isAsking = false
    /// Whether something came meanwhile, so that the answer 'nothing' is out of date.
    var isStale = false
    var askedAtMs: Int64
  }

  private unowned let server: ServingLoop
  private let index: Int
  private var watchers = Watchers()
  private var starting: [UInt64: Ticket] = [:]
  private var waiters: [UInt64: Waiter] = [:]
  private var nextWaiter: UInt64 = 0
  private var timer: LoopTimer?

  /// Whether the worker is stopping: nobody waits any more.
  private var isDraining = false
  private let goodbye: [UInt8]

  static let watchesPerConnectionMax = 100
  /// How long a caller that has closed its side may wait at most.
  private static let halfClosedWaitMs: Int64 = 60_000
  private static let nothing = Array("OK {\"events\":[]}".utf8)

  init(_ server: ServingLoop, index: Int) {
    self.server = server
    self.index = index
    let event = "EVENT {\"type\":\"worker.draining\",\"worker\":\"\(server.shared.workerID)\"}\n"
    goodbye = Array(event.utf8)
    timer = LoopTimer(server.loop) { [unowned self] in timeIsOver() }
  }

  /// The worker is stopping: who watches is told, and who waits is answered.
  func drain() {
    isDraining = true
    for watch in watchers.onePerConnection { server.push(watch, goodbye) }
    timeIsOver()
  }

  /// The tail runs as long as any loop has somebody who watches or waits.
  private func tellNeed() {
    server.counters.set(watchers.count, .watches)
    server.counters.set(waiters.count, .waiters)
  }
}

// MARK: Watching

extension EventDesk {
  /// Begins a watch; it is answered when nothing can be missed any more.
  func watch(_ watch: Watch, _ ticket: Ticket) throws(RequestError) {
    guard !isDraining else {
      throw RequestError(.draining, "this worker is stopping; watch elsewhere")
    }
    guard watchers.count(of: watch.connection) < EventDesk.watchesPerConnectionMax else {
      throw RequestError(
        .quota, "a connection may watch \(EventDesk.watchesPerConnectionMax) times at most")
    }
    let partition: Partition? =
      switch watch.scope {
      case .all: nil
      case .device(let device): device.withUnsafeBufferPointer { Partition(of: $0) }
      }
    let number = watchers.add(watch)
    starting[number] = ticket
    tellNeed()
    server.shared.tailRequests.post(
      TailRequest(loop: index, watch: number, partition: partition))
  }

  /// Ends all watches of a connection; those that have not begun are answered all the same.
  func unwatch(_ connection: ConnectionID) {
    watchers.removeAll(of: connection)
    tellNeed()
  }

  func isWatching(_ connection: ConnectionID) -> Bool { watchers.count(of: connection) > 0 }

  /// Whoever has closed its side and waits may be gone altogether: it is kept for a while only.
  func inputEnded(_ connection: ConnectionID) {
    guard !waiters.isEmpty else { return }
    let untilMs = server.loop.nowMs + EventDesk.halfClosedWaitMs
    for (number, waiter) in waiters where waiter.ticket.client == connection.packed {
      waiters[number]?.untilMs = min(waiter.untilMs, untilMs)
    }
    setTimer()
  }

  /// Callers may see other things now, or nothing; what they wait for and may not see is over.
  ///
  /// A watch ends with its connection, so that its caller notices.
  func accessChanged() {
    for (number, waiter) in waiters {
      let caller = server.connections[ConnectionID(packed: waiter.ticket.client)]
      guard !waiter.query.isAllowed(caller?.principal) else { continue }
      finish(number)
      server.answer(waiter.ticket, RequestError(.forbidden, "this is not yours any more"))
    }
    for id in watchers.connections {
      guard let connection = server.connections[id] else { continue }
      let principal = connection.principal
      let isAllowed = watchers.scopes(of: id).allSatisfy { $0.isAllowed(principal) }
      guard !isAllowed else { continue }
      unwatch(id)
      connection.finish(.revoked)
    }
  }

  /// The connection is gone.
  func closed(_ connection: ConnectionID) {
    if watchers.count(of: connection) > 0 { unwatch(connection) }
    guard !waiters.isEmpty else { return }
    let gone = waiters.filter { $0.value.ticket.client == connection.packed }
    for (number, waiter) in gone {
      waiters[number] = nil
      server.forget(waiter.ticket)
    }
    if !gone.isEmpty { tellNeed() }
  }

  /// Redis has said where the logs end.
  func begun(_ answer: TailAnswer) {
    guard answer.watch & EventDesk.waiterBit == 0 else {
      // If the tail cannot run now, asking will tell the caller why.
      ask(answer.watch ^ EventDesk.waiterBit)
      return
    }
    guard let ticket = starting.removeValue(forKey: answer.watch) else { return }
    let begun = watchers.begun(answer)
    guard answer.tails != nil else {
      tellNeed()
      server.answer(
        ticket, RequestError(.unavailable, "the event log cannot be read now; nothing was done"))
      return
    }
    Array("OK\n".utf8).withUnsafeBufferPointer { server.answer(ticket, $0) }
    guard let begun else { return }
    for event in begun.missed where server.maySee(begun.watch.connection, event.device) {
      server.push(begun.watch, event.line)
    }
    if isDraining { server.push(begun.watch, goodbye) }
  }

  /// Events have come, in the order of each log.
  func received(_ events: [FleetEvent]) {
    for event in events {
      for watch in watchers.receivers(of: event)
      where server.maySee(watch.connection, event.device) { server.push(watch, event.line) }
    }
    guard !waiters.isEmpty else { return }
    let devices = Set(events.map(\.device))
    for (number, waiter) in waiters where waiter.query.concerns(devices) {
      if waiter.isAsking { waiters[number]?.isStale = true } else { ask(number) }
    }
  }
}

// MARK: Waiting

extension EventDesk {
  /// Numbers of waiters and of watches go to the tail in one field.
  private static let waiterBit: UInt64 = 1 << 63

  /// Answers a query, at once or when something comes within `waitMs`.
  func query(_ query: EventQuery, _ ticket: Ticket, waitMs: Int64) {
    nextWaiter += 1
    let number = nextWaiter
    let now = server.loop.nowMs
    // A part of this millisecond is over already: whoever waits is to wait no shorter than asked.
    let waitMs = isDraining ? 0 : waitMs
    let untilMs = waitMs > 0 ? now + waitMs + 1 : now
    waiters[number] = Waiter(
      ticket: ticket, query: query, untilMs: untilMs, askedAtMs: now)
    guard waitMs > 0 else {
      ask(number)
      return
    }
    tellNeed()
    setTimer()
    // The tail must run before Redis is asked, or what comes in between would be missed.
    server.shared.tailRequests.post(
      TailRequest(loop: index, watch: number | EventDesk.waiterBit, partition: query.partition))
  }

  private func ask(_ number: UInt64) {
    guard let waiter = waiters[number] else { return }
    waiters[number]?.isAsking = true
    waiters[number]?.isStale = false
    waiters[number]?.askedAtMs = server.loop.nowMs
    server.callScript(waiter.query.call) { [unowned self] outcome in
      answered(number, outcome)
    }
  }

  private func answered(_ number: UInt64, _ outcome: ScriptOutcome) {
    guard let waiter = waiters[number] else { return }
    waiters[number]?.isAsking = false
    switch outcome {
    case .failed(let error):
      finish(number)
      server.answer(waiter.ticket, error)
    case .line(let line):
      let isOver = server.loop.nowMs >= waiter.untilMs || isDraining
      if line.elementsEqual(EventDesk.nothing), !isOver {
        if waiter.isStale { ask(number) }
        return
      }
      finish(number)
      server.answerText(
        waiter.ticket, line, onlyReads: waiter.query.call.script.isReadOnly)
    }
  }

  /// Ends the waiting of those who have the worker keep much behind it: nothing else may end it for
  /// days.
  func endWaits(_ keepsMuch: (ConnectionID) -> Bool) {
    for (number, waiter) in waiters where keepsMuch(ConnectionID(packed: waiter.ticket.client)) {
      waiters[number]?.untilMs = 0
    }
    timeIsOver()
  }

  private func finish(_ number: UInt64) {
    waiters[number] = nil
    tellNeed()
    setTimer()
  }

  private func setTimer() {
    guard let soonest = waiters.values.map(\.untilMs).min() else {
      timer?.cancel()
      return
    }
    // Groups are asked again now and then, for events whose consumer did not acknowledge them.
    timer?.set(afterMs: min(max(0, soonest - server.loop.nowMs), 1_000))
  }

  private func timeIsOver() {
    let now = server.loop.nowMs
    for (number, waiter) in waiters where !waiter.isAsking {
      if now >= waiter.untilMs || isDraining {
        finish(number)
        EventDesk.nothing.withUnsafeBufferPointer { server.answerText(waiter.ticket, $0) }
      } else if waiter.query.group != nil, now - waiter.askedAtMs >= server.settings.ackTimeoutMs {
        ask(number)
      }
    }
    setTimer()
  }
}
