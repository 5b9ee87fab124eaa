// Owns: the watches of a loop that begin with what the log has since an event. Their pages are read
// and sent as fast as their callers read them; what happens meanwhile comes after that. Runs on the
// loop's thread.

internal import Access
internal import Loop
internal import Metrics
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

/// The part of the log that a watch is still to be sent.
struct CatchUp {
  /// The logs that are left, each with the id after which it is read on; the last one is next.
  fileprivate var left: [(partition: Partition, after: StreamID)]
  /// The events that were read and are not sent, the last one first.
  fileprivate var page: [FleetEvent] = []
  fileprivate var isReading = false

  /// Events that are read at once.
  fileprivate static let pageEvents: Int64 = 64
  /// More events than these are not kept for a caller that does not read.
  static let keptEventsMax = 10_000
  /// With all devices the log is read from so long before the id: a moment has ids in all logs.
  fileprivate static let overlapMs: UInt64 = 5_000
  static let retryMs: Int64 = 500
}

// MARK: Beginning

extension EventSubscriptions {
  /// Looks at the logs before a watch is answered: whether they reach back so far.
  func beginCatchUp(_ answer: TailAnswer, _ ticket: Ticket, _ after: EventID) {
    guard let watch = watchers.catchesUp(answer) else { return answerBegun(ticket, hasLost: false) }
    let earlier = StreamID.before(ms: after.entry.ms - min(after.entry.ms, CatchUp.overlapMs))
    let left =
      watch.scope.partition.map { [(partition: $0, after: after.entry)] }
      ?? Partition.all.map { (partition: $0, after: earlier) }
    let look = left.map {
      (partition: $0.partition, call: call(watch, after: $0.after, limit: 1))
    }
    server.store.call(raw: ScriptQuery(look)) { [unowned self] result in
      looked(answer.number, ticket, left, result)
    }
  }

  private func call(_ watch: Watch, after: StreamID, limit: Int64) -> EventsCall {
    EventsCall(
      device: ArgumentText(watch.scope.source.member),
      users: watch.users.map { ArgumentText($0.text) }, after: ArgumentText(after.description),
      limit: limit)
  }

  private func looked(
    _ number: UInt64, _ ticket: Ticket, _ all: [(partition: Partition, after: StreamID)],
    _ result: Result<RedisReply, RequestError>
  ) {
    guard case .success(let reply) = result, reply.kind == .array, reply.count == all.count else {
      let error: RequestError
      switch result {
      case .success(let reply): error = server.store.refusal(of: reply, .events)
      case .failure(let failure): error = failure
      }
      endWatch(number)
      return server.answer(ticket, error)
    }
    let refused = reply.elements.first {
      $0.kind == .text && (all.count == 1 || !$0.bytes.starts(with: "STALE".utf8))
    }
    if let refused {
      // An id of another log, or an error.
      endWatch(number)
      return server.store.withOutcome(of: .events, refused) { outcome in
        switch outcome {
        case .line(let line, _): server.answerText(ticket, line, onlyReads: true)
        case .failed(let error): server.answer(ticket, error)
        }
      }
    }
    let pages = zip(all, reply.elements).filter { $1.kind == .array && $1.count > 2 }
    answerBegun(ticket, hasLost: pages.contains { $1[2].integer == 1 })
    guard let watch = watchers[number] else { return }
    beginAccess(watch)
    if watch.wantsChanges { deliver(watch, EventSubscriptions.lostLine) }
    pushDrain(watch)
    catchUps[number] = CatchUp(left: pages.filter { $1.count > 3 }.map(\.0).reversed())
    catchUp(number)
  }

  private func answerBegun(_ ticket: Ticket, hasLost: Bool) {
    let line = hasLost ? "OK {\"lost\":true}\n" : "OK\n"
    Array(line.utf8).withUnsafeBufferPointer { server.answer(ticket, $0) }
  }
}

// MARK: Reading

extension EventSubscriptions {
  /// Sends what was read, reads on, or goes over to what happens.
  private func catchUp(_ number: UInt64) {
    guard var state = catchUps[number], !state.isReading else { return }
    guard let watch = watchers[number], let connection = server.subscriber(watch.connection) else {
      catchUps[number] = nil
      return
    }
    while let event = state.page.last {
      guard connection.hasRoom() else {
        connection.announcesSent = true
        catchUps[number] = state
        return
      }
      state.page.removeLast()
      deliver(watch, event)
    }
    guard let place = state.left.last else {
      catchUps[number] = nil
      for event in watchers.caughtUp(number) { deliver(watch, event) }
      return
    }
    state.isReading = true
    catchUps[number] = state
    let query = ScriptQuery(
      [
        (
          partition: place.partition,
          call: call(watch, after: place.after, limit: CatchUp.pageEvents)
        )
      ])
    server.store.call(raw: query) { [unowned self] result in read(number, result) }
  }

  private func read(_ number: UInt64, _ result: Result<RedisReply, RequestError>) {
    guard catchUps[number] != nil, let watch = watchers[number] else { return }
    catchUps[number]?.isReading = false
    guard case .success(let reply) = result, reply.kind == .array, reply.count == 1,
      reply[0].kind != .error
    else {
      // Redis is away for a moment; its log is read on from where it was.
      catchUpRetry?.set(afterMs: CatchUp.retryMs)
      return
    }
    // An answer that is no page is STALE: the log is not the one that it was.
    let place = catchUps[number]?.left.popLast()
    let events = FleetEvent.all(inPage: reply[0], server.store.seal)
    let earlier = events.filter { watch.isBeforeStart($0) }
    catchUps[number]?.page = earlier.filter { watch.has($0) }.reversed()
    // A page may end before the next event was found, and says where to go on.
    let next = FleetEvent.end(ofPage: reply[0]) ?? earlier.last?.id
    if let place, let next, earlier.count == events.count {
      catchUps[number]?.left.append((partition: place.partition, after: next))
    }
    catchUp(number)
  }

  /// Reads on for those whose page could not be read.
  func retryCatchUps() { for number in Array(catchUps.keys) { catchUp(number) } }

  /// A connection has read what it was sent.
  func resumeCatchUps(_ connection: ConnectionID) {
    for number in Array(catchUps.keys) where watchers[number]?.connection == connection {
      catchUp(number)
    }
  }

  /// Disconnects callers that do not read, and for which more and more would be kept.
  func limitCatchUps() {
    for number in Array(catchUps.keys) {
      guard let watch = watchers[number], watch.keptEvents > CatchUp.keptEventsMax else { continue }
      server.subscriber(watch.connection)?.abort(.slow)
    }
  }
}
