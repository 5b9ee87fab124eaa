// Owns: one event loop of the worker: its listeners, its connections, its store, and the order of a
// turn: all that is ready is read, then the batches go to Redis, and each connection's output goes
// out in one write. What a verb does is the verb's. Runs on its own thread; with others it has
// `shared`, the counters and mailboxes in common.

internal import Access
internal import Deadlines
internal import Events
internal import Loop
internal import Metrics
internal import RedisConnection
internal import Scripts
internal import Service
internal import SessionModel
internal import Settings
internal import Store
internal import Synchronization
internal import Wire

/// A request that is under way, as its ticket names it.
struct TracedRequest: Hashable {
  let client: UInt64
  let slot: UInt64

  init(_ ticket: Ticket) { (client, slot) = (ticket.client, ticket.slot) }
}

/// What other threads have for a serving loop: nearly all of it the control loop.
enum ServingOrder: Sendable {
  /// The worker has been signalled to stop, and goes on for a while.
  case stopping
  /// Finish what is there, take nothing new, then end.
  case drain
  /// The principals have changed.
  case principalsChanged
  /// End now.
  case stop
  /// The tail of the logs has found something.
  case tailReport(TailReport)
  /// So many values of the event log are corrupt; one loop counts them.
  case corruptEvents(Int)
  /// Where the logs end, as a watch had asked.
  case tailAnswer(TailAnswer)
  /// A script has said something about a caller that waits.
  case ticket(TicketMessage)
  /// Messages of that kind may have been lost.
  case askForTickets
  /// A large line was read, by the loop's line reader.
  case lineRead(ReadLine)
  /// What the subscription to changes has for the loop.
  case changes(ChangeNotice)
  /// A connection of the page.
  case joined(InternalCaller)
}

/// One thread's share of the worker.
final class ServingLoop {
  // MARK: Constants
  let settings: Settings
  let shared: SharedState
  let counters: Counters
  let store: Store
  let site: CallSite
  private let index: Int
  /// Whether each request gets a line in the log.
  let logsRequests: Bool
  let verbs = VerbTable()
  let unknownVerbRow = VerbTable.all.count

  // MARK: The loop's thread
  let loop: EventLoop
  let readBuffer: UnsafeMutableRawBufferPointer
  private var acceptors: [Acceptor] = []
  private var acceptEnd: LoopTimer?
  /// Whether connections may still come.
  var isAccepting: Bool { !acceptors.isEmpty }
  var connections = ConnectionTable()
  let shares = CallerShares()
  var parser = VerbTable().makeParser()
  /// Reads large lines on a thread of its own.
  let lineReader: LineReader
  var turnEnd = TurnEnd()
  var buffers = BufferPool()
  private(set) lazy var subscriptions = EventSubscriptions(self, index: index)
  private(set) lazy var waits = WaitQueue(
    loop, store, workerID: shared.workerID, index: index
  ) { [unowned self] in note($0, dueInMs: $1) }
  let largeReads = LargeReads()
  /// Lines over the usual limit that are coming now.
  var longLinesNow = 0
  var sessionIDs = SessionIDs()
  var timeoutCheck: LoopTimer?
  private var wakeup: LoopTimer?
  /// The keys of tickets; nil before Redis has shown the fleet's.
  var ticketKeys: TicketKeys?
  /// The principals; nil without --auth and --jwt-keys.
  var principals: Principals?
  /// When the tokens of connections end; those of connections that are gone are passed over.
  var tokenEnds = Heap<TokenEnd>()
  var tokenTimer: LoopTimer?
  var admission = Admission()
  /// What responses of HTTP have in common.
  var dated: DatedFields
  /// Connections that speak HTTP, refused ones included.
  var httpConnections = 0
  /// Requests that were taken and have not been answered.
  var inFlight = 0
  /// The parents of their traces, where requests are logged.
  var traces: [TracedRequest: String] = [:]
  /// Those of requests in whose place others run.
  var replyTakers: [TracedRequest: ReplyTaker] = [:]
  /// What is noted of requests for the audit, where there is one.
  var audit = Audit()
  /// Set while refused requests without a line are counted.
  var auditTimer: LoopTimer?
  let inFlightMax: Int
  /// The bytes that are kept for callers, by this loop and by all.
  let buffered: BufferedBytes
  var lingering = Lingering()
  var lingerEnd: LoopTimer?
  /// Set when the worker is to stop.
  var drain: Drain?
  /// Whether the worker has been signalled to stop.
  var isStopping = false
  /// Whether requests get ERR draining from now on.
  var isShedding = false
  private var listeners: [CallerSocket] = []
  private var serves: (() -> Void)?
  let timeouts: Timeouts

  /// `serves` is called once, when the connection to Redis is up for the first time.
  init(
    _ loop: EventLoop, _ shared: SharedState, index: Int, setup: RedisSetup,
    _ lineReader: LineReader, serves: @escaping () -> Void
  ) {
    self.loop = loop
    self.shared = shared
    settings = shared.settings
    self.serves = serves
    self.lineReader = lineReader
    counters = shared.counters[index]
    principals = shared.principals.withLock { $0 }
    ticketKeys = shared.ticketKeys.withLock { $0 }
    store = Store(
      loop, setup, index: index, batchMax: shared.settings.batchMax, log: shared.log,
      counters: shared.counters[index], seal: shared.seal)
    site = CallSite(shared, store)
    timeouts = Timeouts(settings)
    inFlightMax = max(1, settings.requestsMax / shared.threads)
    buffered = BufferedBytes(most: settings.bufferedBytesMax, shared.buffered)
    readBuffer = .allocate(byteCount: 1 << 16, alignment: 16)
    self.index = index
    logsRequests = shared.log.isDebugging
    dated = DatedFields(
      fields: HTTPCommonFields(origins: shared.settings.httpOrigins.map { Array($0.utf8) }))
    store.owner = self
    loop.atTurnEnd { [unowned self] in turnEnded() }
    timeoutCheck = LoopTimer(loop) { [unowned self] in checkTimeouts() }
    wakeup = LoopTimer(loop) {}
    lingerEnd = LoopTimer(loop) { [unowned self] in endLingering() }
    tokenTimer = LoopTimer(loop) { [unowned self] in endTokens() }
    auditTimer = LoopTimer(loop) { [unowned self] in writeUnlisted() }
    acceptEnd = LoopTimer(loop) { [unowned self] in
      for acceptor in acceptors { acceptor.takeAll() }
      acceptors = []
    }
  }

  deinit { readBuffer.deallocate() }

  /// Connects to Redis; once that is done, takes callers from the bound sockets.
  func start(_ listeners: [CallerSocket]) {
    self.listeners = listeners
    store.start()
    timeoutCheck?.set(afterMs: 100)
  }

  private func startListening() {
    guard !listeners.isEmpty else { return }
    let bound = listeners
    listeners = []
    for listener in bound {
      do throws(SystemError) {
        try listener.socket.listen(backlog: 4_096)
      } catch {
        shared.log.error("cannot listen", ["error": error.description])
        return
      }
      let acceptor = Acceptor(loop, listener.socket, shared.descriptors) { [unowned self] in
        accepted($0, listener.wire)
      } paused: { [unowned self] in
        acceptPaused($0)
      }
      acceptors.append(acceptor)
    }
    serves?()
    serves = nil
  }

  func obey(_ order: ServingOrder) {
    switch order {
    case .stopping: isStopping = true
    case .drain:
      for listener in listeners { listener.socket.close() }
      listeners = []
      for acceptor in acceptors { acceptor.refuseNewOnes() }
      acceptEnd?.set(afterMs: Drain.acceptMs)
      startDrain()
    case .principalsChanged: principalsChanged()
    case .stop:
      writeUnlisted()
      loop.stop()
    case .tailReport(let report): subscriptions.received(report)
    case .corruptEvents(let count): store.noteCorrupt(count, "entries of the event log")
    case .tailAnswer(let answer): subscriptions.begun(answer)
    case .ticket(let message): waits.informed(message)
    case .askForTickets: waits.askAgain()
    case .lineRead(let line): lineRead(line)
    case .changes(let notice): subscriptions.noticed(notice)
    case .joined(let caller): joined(caller)
    }
  }
}

// MARK: Answers

extension ServingLoop: RequestContext, SubscriptionsOwner {
  var events: any EventService { subscriptions }
  var nowMs: Int64 { loop.nowMs }
  var workerID: String { shared.workerID }
  var tailRequests: Mailbox<TailRequest> { shared.tailRequests }
  var changeRequests: Mailbox<ChangeRequest> { shared.changeRequests }

  func nextSessionID(mark: UInt16) -> String {
    sessionIDs.next(ms: WallTime.nowMs(), random: .random(in: 0 ... .max), mark: mark)
  }

  func answer(_ ticket: Ticket, _ line: UnsafeBufferPointer<UInt8>) { answer(ticket, line, nil) }

  /// Answers with a reply line, its end included unless it is not `isWhole`.
  ///
  /// With `isHandOver`, `handedOver` follows when the kernel has all of it.
  func answer(
    _ ticket: Ticket, _ line: UnsafeBufferPointer<UInt8>, _ outcome: Outcome?,
    isWhole: Bool = true, isHandOver: Bool = false
  ) {
    let outcome = outcome ?? Outcome(line: line) ?? .internal
    if !replyTakers.isEmpty,
      replyTakers.removeValue(forKey: TracedRequest(ticket))?(outcome, line) == true
    {
      return
    }
    counters.addRequest(verb: ticket.verb, outcome, ns: loop.nowNs - ticket.arrivedNs)
    let connection = connections[ConnectionID(packed: ticket.client)]
    if connection?.wire == .http { counters.add(.httpRequests) }
    if logsRequests { logRequest(ticket, outcome, connection?.wire) }
    if shared.audit != nil { writeAudit(ticket, outcome, connection) }
    forget(ticket)
    connection?.answer(ticket.slot, line, isWhole: isWhole, isHandOver: isHandOver)
  }

  /// A request's words may be secrets or content, so that only its verb and outcome are logged.
  private func logRequest(_ ticket: Ticket, _ outcome: Outcome, _ wire: CallerWire?) {
    let isKnown = ticket.verb < VerbTable.all.count
    shared.log.debug(
      "request",
      [
        "connection": "\(index).\(ticket.client)", "wire": wire?.rawValue ?? "-",
        "verb": isKnown ? VerbTable.all[ticket.verb].name : "unknown", "outcome": outcome.label,
        "us": "\((MonotonicTime.nowNs() - ticket.arrivedNs) / 1_000)",
        "trace": traces[TracedRequest(ticket)] ?? "-",
      ])
  }

  /// The name of a connection in the log.
  func logName(_ connection: Connection) -> String { "\(index).\(connection.id.packed)" }

  func answer(_ ticket: Ticket, _ error: RequestError) {
    if error.principalLimit != nil { noteQuota(ticket, error) }
    var line: [UInt8] = []
    line.appendError(error)
    line.withUnsafeBufferPointer { answer(ticket, $0, Outcome(error.code)) }
  }

  /// Answers with a reply line without its end.
  ///
  /// One that `onlyReads` is refused if it is long under memory pressure: nothing was changed.
  func answerText(
    _ ticket: Ticket, _ text: UnsafeBufferPointer<UInt8>, onlyReads: Bool = false
  ) {
    if text.count > Connection.littleBytes, onlyReads, hasMemoryPressure {
      counters.add(.pressureReplies)
      return answer(ticket, ServingLoop.memoryLimitReached("replies"))
    }
    guard let outcome = Outcome(line: text) else {
      guard text.starts(with: "LARGE ".utf8) else { return withhold(ticket, text) }
      return answerLarge(ticket, text, onlyReads: onlyReads)
    }
    answer(ticket, text, outcome, isWhole: false)
  }

  /// A bug: what a script says to the worker alone would reach a caller.
  private func withhold(_ ticket: Ticket, _ text: UnsafeBufferPointer<UInt8>) {
    let isKnown = ticket.verb < VerbTable.all.count
    let verb = isKnown ? VerbTable.all[ticket.verb].name : "unknown"
    let word = String(decoding: text.prefix { $0 > UInt8(ascii: " ") }.prefix(20), as: UTF8.self)
    shared.log.repeated(
      .error, "a reply is none for callers", cause: verb, ["verb": verb, "word": word])
    answer(
      ticket,
      RequestError(.internal, "the request may have been applied, its reply is lost; see the log"))
  }

  /// Answers with events of a group; `handedOver` follows when the kernel has all of them.
  func handOver(_ ticket: Ticket, _ text: UnsafeBufferPointer<UInt8>) {
    guard let outcome = Outcome(line: text) else { return withhold(ticket, text) }
    answer(ticket, text, outcome, isWhole: false, isHandOver: true)
  }

  func subscriber(_ id: ConnectionID) -> (any Subscriber)? { connections[id] }

  /// Sends an event to a connection that watches.
  func push(_ watch: Watch, _ line: [UInt8]) {
    counters.add(.eventsPushed)
    guard let connection = connections[watch.connection] else { return }
    if connection.push(after: watch.ticketSlot, line) { counters.add(.pressureWatches) }
  }

  private func noteDeadline(of ticket: Ticket) {
    guard ticket.dueInMs >= 0 else { return }
    note(ticket.partition, dueInMs: ticket.dueInMs)
  }

  /// Notes a deadline in a partition, as verbs do, without a call by way of the protocol.
  private func note(_ partition: Int, dueInMs ms: Int64) {
    shared.deadlines.note(Partition(index: partition), inMs: ms, nowMs: loop.nowMs)
  }
}

// MARK: Redis

extension ServingLoop: StoreOwner {
  func storeServes() {
    startListening()
    waits.askAgain()
    subscriptions.storeServes()
  }

  func answered(_ batch: Batch, _ reply: RedisReply) -> Int {
    var replyBytes = 0
    for index in 0..<batch.count {
      let ticket = batch.tickets[index]
      if ticket.isElsewhere { continue }
      replyBytes +=
        ticket.isStep
        ? store.goOn(index, of: batch, reply[index])
        : answerBatched(ticket, batch, index, reply[index])
    }
    return replyBytes
  }

  /// Returns how many bytes the reply's line has.
  private func answerBatched(
    _ ticket: Ticket, _ batch: Batch, _ place: Int, _ reply: RedisReply
  ) -> Int {
    let (text, script) = (reply.bytes, batch.script)
    if batch.keysAreRecords, let first = text.first, first <= UInt8(ascii: "9") {
      answerRenewal(ticket, text)
      return text.count
    }
    noteDeadline(of: ticket)
    var count = 0
    store.withOutcome(of: batch, place, reply) { outcome in
      switch outcome {
      case .failed(let error): answer(ticket, error)
      case .line(let line, let dueInMs):
        count = line.count
        if let dueInMs { note(ticket.partition, dueInMs: dueInMs) }
        answerText(ticket, line, onlyReads: script.isReadOnly)
      }
    }
    return count
  }

  /// The reply of a renewal is the lock's record: its line is made here, since a text costs Redis'
  /// one core more than a worker's.
  private func answerRenewal(_ ticket: Ticket, _ reply: UnsafeBufferPointer<UInt8>) {
    guard let record = LockRecord(reply) else {
      answer(ticket, store.corruptLock(in: Partition(index: ticket.partition)))
      return
    }
    // The TTL may be the lock's own, of which only its record knows.
    note(ticket.partition, dueInMs: record.ttlMs)
    guard !store.isUnacknowledged else { return answer(ticket, Store.unacknowledged) }
    record.withRenewal { answer(ticket, $0, nil) }
  }

  func failed(_ tickets: [Ticket], _ error: RequestError, mayBeDone: Bool) {
    for ticket in tickets {
      // What was done, and so the deadline, is not known.
      if mayBeDone { note(ticket.partition, dueInMs: 0) }
      answer(ticket, error)
    }
  }
}

// MARK: Turns

extension ServingLoop {
  func asksLittle(_ client: ConnectionID) -> Bool { connections[client]?.asksLittle ?? false }

  private func turnEnded() {
    defer {
      counters.set(inFlight, .requestsInFlight)
      counters.set(buffered.look(), .bufferedBytes)
      counters.set(Int(loop.nowMs), .turnedAtMs)
    }
    let room = store.room() ?? CallerShares.roomMax
    shares.turnEnded()
    shares.room = min(CallerShares.roomMax, max(CallerShares.roomMin, room))
    for connection in turnEnd.takeRested() where !connection.isClosed { connection.release() }
    // Going on with parked callers makes new requests, and sending frees parked callers: a few
    // rounds settle nearly everything, and the next turn does the rest.
    for _ in 0..<4 {
      for connection in turnEnd.takeToResume() where !connection.isClosed { connection.resume() }
      store.endTurn()
      for connection in turnEnd.takeOutput() where !connection.isClosed {
        connection.sendOutput()
      }
      if !turnEnd.hasToResume { break }
    }
    subscriptions.sendTransfers()
    store.flush()
    if turnEnd.needsAnotherTurn { wakeup?.set(afterMs: 0) }
  }
}
