// Owns: what a loop does about events: sends them to the connections that watch, keeps requests
// that wait with `wait=` until something comes or their time is over, and hands the events of
// groups over, or gives them back. Runs on the loop's thread.

internal import Loop
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Wire

/// One loop's subscriptions to events.
final class EventSubscriptions: EventService {
  /// An EVENTS request for which something is owed: an answer, or the events that it holds.
  struct Request {
    let ticket: Ticket
    let query: EventQuery
    var wait: EventWait
    /// What was read for it and is not handed over yet.
    var held: HeldEvents?
    var readAtMs: Int64 = 0

    var connection: ConnectionID { ConnectionID(packed: ticket.client) }
  }

  unowned let server: any SubscriptionsOwner
  private let index: Int
  private var watchers = Watchers()
  private var starting: [UInt64: Ticket] = [:]
  private var requests: [UInt64: Request] = [:]
  private var numbers: [ConnectionID: [UInt64]] = [:]
  private var nextNumber: UInt64 = 0
  private var waiting = 0
  private var timer: LoopTimer?
  private var timerAtMs = Int64.max
  var moves = PendingMoves()
  var movesRetry: LoopTimer?

  /// Whether the worker is stopping: no request waits any more.
  private var isDraining = false
  private let goodbye: [UInt8]

  static let watchesPerConnectionMax = 100
  private static let nothing = Array("OK {\"events\":[]}".utf8)

  init(_ server: any SubscriptionsOwner, index: Int) {
    self.server = server
    self.index = index
    let event = "EVENT {\"type\":\"worker.draining\",\"worker\":\"\(server.workerID)\"}\n"
    goodbye = Array(event.utf8)
    timer = LoopTimer(server.loop) { [unowned self] in timerFired() }
    movesRetry = LoopTimer(server.loop) { [unowned self] in sendMoves() }
  }

  /// The worker is stopping: watching connections get its farewell, and waits end.
  func drain() {
    isDraining = true
    for watch in watchers.onePerConnection { server.push(watch, goodbye) }
    for number in Array(requests.keys) { advance(number) { $0.cutShort(nowMs: $1) } }
  }

  /// Whether Redis knows of all events what became of them.
  var isSettled: Bool { moves.isEmpty && !requests.values.contains { $0.wait.state == .leaving } }

  /// The tail runs as long as any loop has a connection that watches or waits.
  private func tellNeed() {
    server.counters.set(watchers.count, .watches)
    server.counters.set(waiting, .waiters)
  }
}

// MARK: Watching

extension EventSubscriptions {
  /// Begins a watch; it is answered when nothing can be missed any more.
  func watch(_ watch: Watch, _ ticket: Ticket) throws(RequestError) {
    guard !isDraining else {
      throw RequestError(.draining, "this worker is stopping; watch elsewhere")
    }
    guard watchers.count(of: watch.connection) < EventSubscriptions.watchesPerConnectionMax else {
      throw RequestError(
        .quota, "a connection may watch \(EventSubscriptions.watchesPerConnectionMax) times at most"
      )
    }
    let partition: Partition? =
      switch watch.scope {
      case .all: nil
      case .device(let device): device.withUnsafeBufferPointer { Partition(of: $0) }
      }
    let number = watchers.add(watch)
    starting[number] = ticket
    tellNeed()
    server.tailRequests.post(
      TailRequest(loop: index, watch: number, partition: partition))
  }

  /// Ends all watches of a connection; those that have not begun are answered all the same.
  func unwatch(_ connection: ConnectionID) {
    watchers.removeAll(of: connection)
    tellNeed()
  }

  func isWatching(_ connection: ConnectionID) -> Bool { watchers.count(of: connection) > 0 }

  /// A caller has closed its side; it may be gone altogether.
  func inputEnded(_ connection: ConnectionID) {
    for number in numbers[connection] ?? [] { advance(number) { $0.inputEnded(nowMs: $1) } }
  }

  /// Callers may see other things now, or nothing; what they wait for and may not see is over.
  ///
  /// A watch ends with its connection, so that its caller notices.
  func accessChanged() {
    for (number, request) in requests {
      let principal = server.subscriber(request.connection)?.principal
      guard !request.query.isAllowed(principal) else { continue }
      advance(number) { wait, _ in wait.refused() }
    }
    for id in watchers.connections {
      guard let connection = server.subscriber(id) else { continue }
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
    for number in numbers[connection] ?? [] { advance(number) { wait, _ in wait.closed() } }
  }

  /// Redis has said where the logs end.
  func begun(_ answer: TailAnswer) {
    guard answer.watch & EventSubscriptions.waiterBit == 0 else {
      // If the tail cannot run now, asking will tell the caller why.
      advance(answer.watch ^ EventSubscriptions.waiterBit) { $0.tailRuns(nowMs: $1) }
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
    guard !requests.isEmpty else { return }
    let devices = Set(events.map(\.device))
    wake { $0.concerns(devices) }
  }
}

// MARK: Asking

extension EventSubscriptions {
  /// Numbers of requests and of watches go to the tail in one field.
  private static let waiterBit: UInt64 = 1 << 63

  /// Answers a query, at once or when something comes within `waitMs`.
  ///
  /// A read of a group begins when the replies before its own are with the kernel: what it takes
  /// from the group is then written at once.
  func query(_ query: EventQuery, _ ticket: Ticket, waitMs: Int64) {
    nextNumber += 1
    let number = nextNumber
    let takes = query.group != nil
    requests[number] = Request(
      ticket: ticket, query: query,
      wait: EventWait(takes: takes, waitMs: isDraining ? 0 : waitMs))
    numbers[ConnectionID(packed: ticket.client), default: []].append(number)
    guard takes else { return advance(number) { $0.turnCame(nowMs: $1) } }
    if let connection = server.subscriber(ConnectionID(packed: ticket.client)) {
      outputSent(connection)
    }
  }

  /// All that a connection is to be sent is with the kernel, as far as it is known.
  func outputSent(_ connection: any Subscriber) {
    for number in numbers[connection.id] ?? [] {
      guard let request = requests[number], request.wait.state == .queued else { continue }
      if connection.isNext(request.ticket.slot) {
        advance(number) { $0.turnCame(nowMs: $1) }
      } else {
        connection.announcesSent = true
      }
    }
  }

  /// The kernel has taken all of a reply with events.
  func handedOver(_ connection: ConnectionID) {
    for number in numbers[connection] ?? [] where requests[number]?.wait.state == .writing {
      advance(number) { wait, _ in wait.written() }
    }
  }

  /// Ends the waiting of those that have the worker keep much behind it: nothing else may end it
  /// for days.
  func endWaits(_ keepsMuch: (ConnectionID) -> Bool) {
    for (number, request) in requests where keepsMuch(request.connection) {
      advance(number) { $0.cutShort(nowMs: $1) }
    }
  }

  /// Has requests ask again for which there may be something now.
  func wake(_ isConcerned: (EventQuery) -> Bool) {
    for (number, request) in requests where isConcerned(request.query) {
      advance(number) { $0.eventsCame(nowMs: $1) }
    }
  }

  private func timerFired() {
    timerAtMs = .max
    let now = server.loop.nowMs
    for (number, request) in requests {
      guard let atMs = request.wait.timerAtMs else { continue }
      if atMs <= now {
        advance(number) { $0.timerFired(nowMs: $1) }
      } else {
        setTimer(atMs)
      }
    }
  }

  /// Sees to it that the timer fires by then; once that it is not needed any more does no harm.
  private func setTimer(_ atMs: Int64) {
    guard atMs < timerAtMs else { return }
    timerAtMs = atMs
    timer?.set(afterMs: max(0, atMs - server.loop.nowMs))
  }

  /// Lets a request's state settle after an event, then does what it says.
  private func advance(
    _ number: UInt64, _ event: (inout EventWait, Int64) -> EventWait.Action
  ) {
    guard let (request, action) = settle(number, event) else { return }
    perform(action, number, request)
  }

  /// Nil if the request has ended before.
  private func settle(
    _ number: UInt64, _ event: (inout EventWait, Int64) -> EventWait.Action
  ) -> (request: Request, action: EventWait.Action)? {
    guard var request = requests[number] else { return nil }
    let wasWaiting = request.wait.isWaiting
    let action = event(&request.wait, server.loop.nowMs)
    if request.wait.isEnded {
      requests[number] = nil
      let left = numbers[request.connection]?.filter { $0 != number } ?? []
      numbers[request.connection] = left.isEmpty ? nil : left
    } else {
      requests[number] = request
      if let atMs = request.wait.timerAtMs { setTimer(atMs) }
    }
    let isWaiting = request.wait.isWaiting
    if isWaiting != wasWaiting {
      waiting += isWaiting ? 1 : -1
      tellNeed()
    }
    return (request, action)
  }

  private func perform(_ action: EventWait.Action, _ number: UInt64, _ request: Request) {
    switch action {
    case .nothing: break
    case .startTail:
      // The tail must run before Redis is asked, or what comes in between would be missed.
      server.tailRequests.post(
        TailRequest(
          loop: index, watch: number | EventSubscriptions.waiterBit,
          partition: request.query.partition))
    case .ask: ask(number, request.query)
    case .answerNothing: answerNothing(request)
    case .refuse:
      server.answer(request.ticket, RequestError(.forbidden, "this is not yours any more"))
    case .forget: server.forget(request.ticket)
    case .markGiven: markGiven(request)
    case .giveBack: giveBack(request.held)
    case .cutOff: server.subscriber(request.connection)?.abort(.slow)
    case .answerError, .deliver, .giveBackAndAnswerNothing:
      preconditionFailure("\(action) without an answer of Redis")
    }
  }

  private func answerNothing(_ request: Request) {
    EventSubscriptions.nothing.withUnsafeBufferPointer {
      server.answerText(request.ticket, $0, onlyReads: false)
    }
  }

  private func ask(_ number: UInt64, _ query: EventQuery) {
    guard let group = query.group else {
      server.store.call(query.call) { [unowned self] outcome in read(number, outcome) }
      return
    }
    server.store.call(raw: query.call) { [unowned self] result in
      readGroup(number, group, result)
    }
  }
}

// MARK: Answers of Redis

extension EventSubscriptions {
  /// The log of a device was read.
  private func read(_ number: UInt64, _ outcome: ScriptOutcome) {
    switch outcome {
    case .failed(let error): failed(number, error)
    case .line(let line):
      let isEmpty = line.elementsEqual(EventSubscriptions.nothing)
      let answer = isEmpty ? EventAnswer.nothing(isBlocked: false, againMs: nil) : .events
      guard let (request, action) = settle(number, { $0.answered(answer, nowMs: $1) }) else {
        return
      }
      guard action == .deliver else { return perform(action, number, request) }
      server.answerText(request.ticket, line, onlyReads: true)
    }
  }

  private func failed(_ number: UInt64, _ error: RequestError) {
    guard let (request, action) = settle(number, { $0.answered(.failed, nowMs: $1) }) else {
      return
    }
    guard action == .answerError else { return perform(action, number, request) }
    server.answer(request.ticket, error)
  }

  /// A group was read; what it gave is this worker's until it is handed over or given back.
  private func readGroup(
    _ number: UInt64, _ group: String, _ result: Result<RedisReply, RequestError>
  ) {
    switch result {
    case .failure(let error): failed(number, error)
    case .success(let reply):
      guard let page = GroupPage(reply, group: group) else {
        failed(number, server.store.refusal(of: reply, .readGroup))
        return
      }
      requests[number]?.held = page.held
      requests[number]?.readAtMs = server.loop.nowMs
      guard let (request, action) = settle(number, { $0.answered(page.answer, nowMs: $1) }) else {
        return giveBack(page.held)
      }
      switch action {
      case .deliver: server.handOver(request.ticket, reply[0].bytes)
      case .giveBackAndAnswerNothing:
        giveBack(page.held)
        answerNothing(request)
      default: perform(action, number, request)
      }
    }
  }
}
