// Owns: a loop's subscriptions to events: pushes events to connections that watch, keeps requests
// that wait with `wait=` until an event comes or their time is over, and delivers the events of
// groups, or returns them. Runs on the loop's thread.

internal import Loop
internal import Metrics
internal import Records
package import RedisConnection
internal import Scripts
internal import SessionModel
package import Store
package import Wire

/// One loop's subscriptions to events.
package final class EventSubscriptions: EventService {
  package unowned let server: any SubscriptionsOwner
  let index: Int
  var watchers = Watchers()
  private var starting: [UInt64: Ticket] = [:]
  /// The connections that took no more changes, and have not learned yet that some are lost.
  var overrun: Set<ConnectionID> = []
  var requests = EventRequests()
  var interest = ChangeInterest()
  private var timer: LoopTimer?
  private var timerAtMs = Int64.max
  var readers = AllGroupReads()
  var readerTimer: LoopTimer?
  var readerTimerAtMs = Int64.max
  var transfers = PendingTransfers()
  var transferRetry: LoopTimer?
  var catchUps: [UInt64: CatchUp] = [:]
  var catchUpRetry: LoopTimer?
  var accessChecks = AccessChecks()
  var accessTimer: LoopTimer?

  /// Whether the worker is stopping: no request waits any more.
  private var isDraining = false
  private let drainLine: [UInt8]

  static let watchesPerConnectionMax = 100
  static let lostLine = Array("EVENT {\"type\":\"changes.lost\"}\n".utf8)
  private static let eventsLostLine = Array("EVENT {\"type\":\"events.lost\"}\n".utf8)

  package init(_ server: any SubscriptionsOwner, index: Int) {
    self.server = server
    self.index = index
    let event = "EVENT {\"type\":\"worker.draining\",\"worker\":\"\(server.workerID)\"}\n"
    drainLine = Array(event.utf8)
    timer = LoopTimer(server.loop) { [unowned self] in timerFired() }
    readerTimer = LoopTimer(server.loop) { [unowned self] in readerTimerFired() }
    transferRetry = LoopTimer(server.loop) { [unowned self] in sendTransfers() }
    catchUpRetry = LoopTimer(server.loop) { [unowned self] in retryCatchUps() }
    accessTimer = LoopTimer(server.loop) { [unowned self] in accessTimerFired() }
  }

  /// The worker is draining: watching connections get the final event, and waits end.
  package func drain() {
    isDraining = true
    for watch in watchers.onePerConnection { server.push(watch, drainLine) }
    for number in requests.numbers { advance(number) { $0.cutShort(nowMs: $1) } }
  }

  /// Whether Redis knows the outcome of all events that were given to this loop.
  package var isSettled: Bool {
    transfers.isEmpty && !requests.isAnyLeaving
  }

  /// The tail runs as long as any loop has a connection that watches or waits.
  private func publishNeed() {
    server.counters.set(watchers.count, .watches)
    server.counters.set(requests.waiting, .waiters)
    server.counters.set(requests.waitingForDevices, .deviceWaiters)
    server.counters.set(requests.waitingForChanges, .changeWaiters)
  }
}

// MARK: Watching

extension EventSubscriptions {
  /// Begins a watch; it is answered when nothing can be missed any more.
  package func watch(_ watch: Watch, _ ticket: Ticket) throws(RequestError) {
    guard !isDraining else {
      throw RequestError(.draining, "this worker is stopping; watch elsewhere")
    }
    let most = EventSubscriptions.watchesPerConnectionMax
    guard watchers.count(of: watch.connection) < most else {
      throw .quota(most, of: most, "watches of this connection")
    }
    let number = watchers.add(watch)
    starting[number] = ticket
    publishNeed()
    guard watch.needsChanges else { return startTail(number, watch.scope.logs) }
    interest.add(watch.scope.source)
    server.changeRequests.post(.want(watch.scope.source, loop: index, number: number))
  }

  /// The changes of a watch come, or cannot come now.
  func changesCome(_ number: UInt64, _ source: ChangeSource, comes: Bool) {
    guard let watch = watchers[number] else {
      // It was ended before it began; its WATCH is answered all the same.
      return begun(TailAnswer(number: number, watch: .all, tails: comes ? [] : nil))
    }
    guard comes else {
      return begun(TailAnswer(number: number, watch: watch.scope.logs, tails: nil))
    }
    startTail(number, watch.scope.logs)
  }

  private func startTail(_ number: UInt64, _ logs: WatchedLogs) {
    server.tailRequests.post(TailRequest(loop: index, number: number, watch: logs))
  }

  /// Ends all watches of a connection; those that have not begun are answered all the same.
  package func unwatch(_ connection: ConnectionID) {
    for watch in watchers.removeAll(of: connection) { releaseChanges(watch) }
    overrun.remove(connection)
    if !catchUps.isEmpty { catchUps = catchUps.filter { watchers[$0.key] != nil } }
    accessChecks.keep { watchers[$0] != nil }
    publishNeed()
  }

  package func isWatching(_ connection: ConnectionID) -> Bool { watchers.count(of: connection) > 0 }

  /// A caller has closed its side; its connection may be broken.
  package func inputEnded(_ connection: ConnectionID) {
    for number in requests.numbers(of: connection) { advance(number) { $0.inputEnded(nowMs: $1) } }
  }

  /// A connection has another principal, or one with other rights: its requests and watches that
  /// are not allowed any more end.
  ///
  /// A watch ends with its connection, so that its caller notices.
  package func accessChanged(_ connection: ConnectionID, _ error: RequestError) {
    guard let subscriber = server.subscriber(connection) else { return }
    let principal = subscriber.principal
    for number in requests.numbers(of: connection)
    where requests[number]?.query.isAllowed(principal) == false {
      refuse(number, error)
    }
    guard !watchers.watches(of: connection).allSatisfy({ $0.isAllowed(principal) }) else { return }
    endWatches(connection, .forbidden)
    subscriber.finish(.revoked)
  }

  /// A connection has lost its principal: what waits on it gets this error, and its watches end
  /// with a last line.
  package func accessEnded(_ connection: ConnectionID, _ error: RequestError) {
    for number in requests.numbers(of: connection) { refuse(number, error) }
    for (number, ticket) in starting where ConnectionID(packed: ticket.client) == connection {
      starting[number] = nil
      server.answer(ticket, error)
    }
    endWatches(connection, error.code)
  }

  private func refuse(_ number: UInt64, _ error: RequestError) {
    guard let (request, action) = settle(number, { wait, _ in wait.refused() }) else { return }
    guard action == .refuse else { return perform(action, number, request) }
    server.answer(request.ticket, error)
  }

  /// Ends all watches of a connection, with a last line that says why.
  func endWatches(_ connection: ConnectionID, _ why: ErrorCode) {
    let line = Array("EVENT {\"type\":\"watch.ended\",\"reason\":\"\(why.rawValue)\"}\n".utf8)
    if let watch = watchers.begun(of: connection) { server.push(watch, line) }
    unwatch(connection)
  }

  /// The connection is gone.
  package func closed(_ connection: ConnectionID) {
    if watchers.count(of: connection) > 0 { unwatch(connection) }
    for number in requests.numbers(of: connection) {
      advance(number) { wait, _ in wait.closed() }
    }
  }

  /// Redis has said where the logs end.
  package func begun(_ answer: TailAnswer) {
    guard answer.watch != nil else {
      // If the tail cannot run now, the read answers with the reason.
      readers.isFollowed = answer.tails != nil
      advance(answer.number) { $0.tailRuns(nowMs: $1) }
      return
    }
    guard let ticket = starting.removeValue(forKey: answer.number) else { return }
    guard answer.tails != nil else {
      endWatch(answer.number)
      server.answer(
        ticket, RequestError(.unavailable, "the event log cannot be read now; nothing was done"))
      return
    }
    if let after = watchers[answer.number]?.after { return beginCatchUp(answer, ticket, after) }
    Array("OK\n".utf8).withUnsafeBufferPointer { server.answer(ticket, $0) }
    guard let begun = watchers.begun(answer) else { return }
    beginAccess(begun.watch)
    if begun.hasLost { deliver(begun.watch, EventSubscriptions.eventsLostLine) }
    for event in begun.missed { deliver(begun.watch, event) }
    pushDrain(begun.watch)
  }

  /// A watch that begins while the worker drains ends at once.
  func pushDrain(_ watch: Watch) { if isDraining { server.push(watch, drainLine) } }

  /// Ends a watch that could not begin.
  func endWatch(_ number: UInt64) {
    if let watch = watchers.remove(number) { releaseChanges(watch) }
    accessChecks.keep { watchers[$0] != nil }
    publishNeed()
  }

  /// The tail has found something.
  package func received(_ report: TailReport) {
    switch report {
    case .grown(let partitions): logsGrew(partitions)
    case .events(let events): received(events)
    case .lost(let losses): lost(losses)
    // Who waits has read after that.
    case .began: break
    case .rested: readers.forgetGrowth()
    }
  }

  private func received(_ events: [FleetEvent]) {
    for event in events {
      for watch in watchers.receivers(of: event) { deliver(watch, event) }
    }
    if !catchUps.isEmpty { limitCatchUps() }
    guard requests.waitingForDevices > 0 else { return }
    wake(requests.numbers(concerning: Set(events.map(\.device))))
  }

  /// Events have gone unread: watches get a line, and requests that wait are asked for again.
  private func lost(_ losses: [TailLoss]) {
    for watch in watchers.receivers(of: losses) {
      server.push(watch, EventSubscriptions.eventsLostLine)
    }
    wake(requests.numbers(concerning: PartitionSet(losses.map(\.partition))))
  }
}

// MARK: Asking

extension EventSubscriptions {
  /// Numbers of requests and of watches go to the subscription to changes in one field.
  static let waiterBit: UInt64 = 1 << 63

  /// Answers a query, at once or when something comes within `waitMs`.
  ///
  /// A read of a group begins when the replies before its own are with the kernel: what it takes
  /// from the group is then written at once. The caller's next request is begun after the reply to
  /// one that waits, and to one that reads a log: of many that are sent together one is under way.
  package func query(_ query: EventQuery, _ ticket: Ticket, waitMs: Int64) {
    let takes = query.group != nil
    let waits = waitMs > 0 && !isDraining
    let reads = if case .device = query { true } else { false }
    let number = requests.add(
      EventRequest(
        ticket: ticket, query: query,
        wait: EventWait(takes: takes, waitMs: waits ? waitMs : 0),
        holdsCaller: waits || reads))
    let id = ConnectionID(packed: ticket.client)
    let connection = server.subscriber(id)
    if waits { connection?.holdForWait() } else if reads { connection?.hold() }
    guard takes else { return advance(number) { $0.turnCame(nowMs: $1) } }
    if let connection { beginReads(connection) }
  }

  /// All output of a connection, as far as it is known, is with the kernel.
  package func outputSent(_ connection: any Subscriber) {
    resumeChanges(connection.id)
    if !catchUps.isEmpty { resumeCatchUps(connection.id) }
    beginReads(connection)
  }

  /// Begins the reads of groups whose turn has come.
  private func beginReads(_ connection: any Subscriber) {
    for number in requests.numbers(of: connection.id) {
      guard let request = requests[number], request.wait.state == .queued else { continue }
      if connection.isNext(request.ticket.slot) {
        advance(number) { $0.turnCame(nowMs: $1) }
      } else {
        connection.announcesSent = true
      }
    }
  }

  /// The kernel has taken all of a reply with events.
  package func handedOver(_ connection: ConnectionID) {
    for number in requests.numbers(of: connection)
    where requests[number]?.wait.state == .writing {
      advance(number) { wait, _ in wait.written() }
    }
  }

  /// Ends the waits that keep much memory: nothing else may end them for days.
  package func endWaits(_ keepsMuch: (ConnectionID) -> Bool) {
    for number in requests.numbers {
      guard let request = requests[number], keepsMuch(request.connection) else { continue }
      advance(number) { $0.cutShort(nowMs: $1) }
    }
  }

  private func wake(_ numbers: [UInt64]) {
    for number in numbers { advance(number) { $0.eventsCame(nowMs: $1) } }
  }

  private func timerFired() {
    timerAtMs = .max
    var due: [UInt64] = []
    while let number = requests.takeDue(nowMs: server.loop.nowMs) { due.append(number) }
    for number in due { advance(number) { $0.timerFired(nowMs: $1) } }
    setTimer()
  }

  /// Sets the timer for the first deadline; a needless firing does no harm.
  private func setTimer() {
    guard let atMs = requests.nextDeadlineMs, atMs < timerAtMs else { return }
    timerAtMs = atMs
    timer?.set(afterMs: max(0, atMs - server.loop.nowMs))
  }

  /// Settles a request's state after an event, then performs its action.
  func advance(
    _ number: UInt64, _ event: (inout EventWait, Int64) -> EventWait.Action
  ) {
    guard let (request, action) = settle(number, event) else { return }
    perform(action, number, request)
  }

  /// Nil if the request has ended before.
  func settle(
    _ number: UInt64, _ event: (inout EventWait, Int64) -> EventWait.Action
  ) -> (request: EventRequest, action: EventWait.Action)? {
    let now = server.loop.nowMs
    let wereWaiting = (requests.waiting, requests.waitingForChanges)
    guard let (request, action) = requests.change(number, { event(&$0.wait, now) }) else {
      return nil
    }
    if let group = request.query.group, !request.wait.isInLine { readers[group]?.left(number) }
    if request.wait.isEnded, request.holdsCaller {
      // The caller goes on at the end of the turn: after the reply.
      server.subscriber(request.connection)?.release()
    }
    if request.wait.isEnded { releaseChanges(request) }
    setTimer()
    if (requests.waiting, requests.waitingForChanges) != wereWaiting { publishNeed() }
    return (request, action)
  }

  func perform(_ action: EventWait.Action, _ number: UInt64, _ request: EventRequest) {
    switch action {
    case .nothing: break
    case .startTail:
      // The tail must run before Redis is asked, or what comes in between would be missed; and so
      // must changes come.
      if let scope = request.query.scope { return wantChanges(number, scope) }
      server.tailRequests.post(TailRequest(loop: index, number: number, watch: nil))
    case .ask: ask(number, request.query)
    case .join:
      if case .group(let query) = request.query { join(number, request, query) }
    case .answerNothing: answerNothing(request)
    case .forget: server.forget(request.ticket)
    case .markGiven: markGiven(request)
    case .giveBack: giveBack(request.held)
    case .cutOff: server.subscriber(request.connection)?.abort(.slow)
    case .answerError, .deliver, .giveBackAndAnswerNothing:
      preconditionFailure("\(action) without an answer of Redis")
    case .refuse: preconditionFailure("a refusal without an error")
    }
  }

  func answerNothing(_ request: EventRequest) {
    request.nothing.withUnsafeBufferPointer {
      server.answerText(request.ticket, $0, onlyReads: false)
    }
  }

  /// Keeps what the request is to be delivered.
  func hold(_ held: HeldEvents, for number: UInt64) {
    let now = server.loop.nowMs
    _ = requests.change(number) { ($0.held, $0.readAtMs) = (held, now) }
  }
}

// MARK: Events and changes of a device

extension EventSubscriptions {
  /// A page of a device's events on its way.
  private final class DeviceRead {
    let number: UInt64
    let query: DeviceQuery
    var page: EventPage
    /// Whether a part of it was read.
    var isBegun = false

    init(_ number: UInt64, _ query: DeviceQuery, _ page: EventPage) {
      (self.number, self.query, self.page) = (number, query, page)
    }
  }

  /// A page ends when its line has grown so large.
  private static let pageBytesMax = 4 << 20

  private func ask(_ number: UInt64, _ query: EventQuery) {
    switch query {
    case .device(let query):
      // What its connection has asked before comes first.
      server.store.sendWaiting()
      step(
        DeviceRead(number, query, EventPage(seal: server.store.seal)),
        after: query.after.description)
    case .changes(_, _, let call, _, _):
      server.store.call(call) { [unowned self] outcome in read(number, outcome) }
    case .group: preconditionFailure("a group is not asked for one request alone")
    }
  }

  /// What changes concern was read.
  private func read(_ number: UInt64, _ outcome: ScriptOutcome) {
    switch outcome {
    case .failed(let error): failed(number, error)
    case .line(let line, _):
      let isEmpty = requests[number]?.query.isNothing(line) == true
      if isEmpty { _ = requests.change(number) { $0.nothing = Array(line) } }
      answer(number, isEmpty ? .nothing : .events, line)
    }
  }

  /// Reads a part of the log; others' calls come between the parts.
  private func step(_ read: DeviceRead, after id: String) {
    let call = read.query.call(after: id, found: read.page.count)
    server.store.call(raw: call) { [unowned self] result in stepped(read, result) }
  }

  private func stepped(_ read: DeviceRead, _ result: Result<RedisReply, RequestError>) {
    // Its caller may have gone meanwhile.
    guard requests[read.number] != nil else { return }
    switch result {
    case .failure(let error): failed(read.number, error)
    case .success(let reply) where reply.count != 1:
      failed(read.number, server.store.refusal(of: reply, .events))
    case .success(let reply) where reply[0].kind == .array:
      let next = read.page.add(reply[0])
      read.isBegun = true
      guard let next, read.page.bytes < EventSubscriptions.pageBytesMax else {
        return finish(read)
      }
      step(read, after: next)
    case .success(let reply):
      server.store.withOutcome(of: .events, reply[0]) { outcome in
        switch outcome {
        case .failed(let error): failed(read.number, error)
        case .line(let line, _):
          // The id that it begins after is of another log; or the log was replaced meanwhile.
          guard !read.isBegun else {
            read.page.noteLoss()
            return finish(read)
          }
          answer(read.number, .events, line)
        }
      }
    }
  }

  private func finish(_ read: DeviceRead) {
    let (isEmpty, corruptCount) = (read.page.isEmpty, read.page.corruptCount)
    if corruptCount > 0 { server.store.noteCorrupt(corruptCount) }
    let line = read.page.finish()
    // A request that waits learns of lost events at the end of its wait: callers that ignore it
    // would ask again at once.
    if isEmpty { _ = requests.change(read.number) { $0.nothing = line } }
    line.withUnsafeBufferPointer { answer(read.number, isEmpty ? .nothing : .events, $0) }
  }

  private func answer(
    _ number: UInt64, _ answer: EventAnswer, _ line: UnsafeBufferPointer<UInt8>
  ) {
    guard let (request, action) = settle(number, { $0.answered(answer, nowMs: $1) }) else {
      return
    }
    guard action == .deliver else { return perform(action, number, request) }
    server.answerText(request.ticket, line, onlyReads: true)
  }

  func failed(_ number: UInt64, _ error: RequestError) {
    guard let (request, action) = settle(number, { $0.answered(.failed, nowMs: $1) }) else {
      return
    }
    guard action == .answerError else { return perform(action, number, request) }
    server.answer(request.ticket, error)
  }
}
