// Owns: one event loop of the worker: its listener, its clients, its connection to Redis, and the
// order of a turn: read all that is ready, one write to Redis, replies fanned out, one write per
// client. Must not know what verbs do. Runs on its own thread; nothing here is shared but
// counters.

internal import Loop
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Synchronization
internal import Wire

/// What the control loop tells a serving loop.
enum ServingOrder: Sendable {
  /// Finish what is there, take nothing new, then end.
  case drain
  /// Other principals may call now.
  case principalsChanged
  /// End now.
  case stop
  /// Events have come.
  case events([FleetEvent])
  /// Where the logs end, as a watch had asked.
  case tailAnswer(TailAnswer)
}

/// One thread's share of the worker.
final class ServingLoop {
  // MARK: Constants
  let settings: Settings
  let shared: SharedState
  let counters: Counters
  /// The base key of each partition.
  let baseKeys: [String]
  /// The same as words for Redis, made once.
  private let bases: [[UInt8]]
  /// What the keys of locks' records begin with in each partition.
  private let recordPrefixes: [[UInt8]]
  private let index: Int
  /// Whether each request gets a line in the log.
  private let logsRequests: Bool
  let verbs = VerbTable()
  let unknownVerbRow = VerbTable.all.count

  // MARK: The loop's thread
  let loop: EventLoop
  let readBuffer: UnsafeMutableRawBufferPointer
  private var acceptor: Acceptor?
  var redis: RedisConnection?
  var connections = ConnectionTable()
  var parser = RequestParser(
    wordsMax: 1_001, deepVerb: "IMPORT", deepPayloadDepthMax: ExportedRecord.depthMax)
  var arguments: Arguments
  private var batcher: Batcher
  var withOutput: [Connection] = []
  var toResume: [Connection] = []
  /// Those who had their share of this turn and have more.
  var yielded: [Connection] = []
  var spareBuffers: [[UInt8]] = []
  private var replyLine: [UInt8] = []
  /// Where lines are made of what scripts give.
  var recordLine = RecordLine()
  /// When the log was told of corrupt records, and how many there were since.
  var corruptLoggedMs: Int64 = -1_000
  var corruptSinceLog = 0
  private(set) lazy var subscriptions = EventSubscriptions(self, index: index)
  private var partitionTurn = 0
  /// Lines over the usual limit that are coming now.
  var longLinesNow = 0
  var sessionIDs = SessionIDs()
  var chores: LoopTimer?
  private var wakeup: LoopTimer?
  /// Who may call; nil where everybody may.
  var principals: Principals?
  /// What callers did that the log warns of.
  var warnings = CallerWarnings()
  /// Connections of those who are not let in, for as long as they take to hear so.
  var refusedNow = 0
  /// Requests that were taken and have not been answered.
  var inFlight = 0
  let inFlightMax: Int
  /// What is kept for callers, here and by all loops.
  var buffered: BufferedBytes
  /// Those who were told that nothing more comes, in the order of when their time is over.
  var lingering: ArraySlice<(id: ConnectionID, untilMs: Int64)> = []
  var lingerEnd: LoopTimer?
  var drainStartedMs: Int64?
  /// Whether the grace of a drain is nearly over: what comes now is told to go elsewhere.
  var isShedding = false
  private var listener: Socket?
  private var serves: (() -> Void)?
  /// What callers are told while Redis is away.
  private(set) var redisReason = "Redis is not connected yet"

  /// How many batches may be with Redis before the next ones wait and grow: two keep Redis busy
  /// while replies travel, and what gathers meanwhile shares a call.
  private let flightMax = 2
  /// During a drain a connection is closed once it has been quiet for so long.
  let drainQuietMs: Int64 = 100
  /// In the last part of a drain's grace callers are told to go elsewhere: for so long at most.
  let sheddingMs: Int64 = 500
  /// How long a caller that was told that nothing more comes may take to close its side.
  let lingerMs: Int64 = 2_000
  let lingerOfDrainMs: Int64 = 500
  /// How often connections are looked at: a few times within the shortest time that one has.
  let choresMs: Int64

  /// `serves` is called once, when the connection to Redis is up for the first time.
  init(
    _ loop: EventLoop, _ shared: SharedState, index: Int, setup: RedisSetup,
    serves: @escaping () -> Void
  ) {
    self.loop = loop
    self.shared = shared
    settings = shared.settings
    self.serves = serves
    counters = shared.counters[index]
    principals = shared.principals.withLock { $0 }
    arguments = Arguments(deviceIDs: shared.settings.deviceIDs)
    let times = [
      settings.idleTimeoutMs, settings.lineTimeoutMs, settings.unreadTimeoutMs,
      settings.authTimeoutMs,
    ]
    choresMs = max(20, times.filter { $0 > 0 }.reduce(4_000, min) / 4)
    inFlightMax = max(1, settings.requestsMax / shared.threads)
    buffered = BufferedBytes(most: settings.bufferedBytesMax, shared.buffered)
    batcher = Batcher(requestsMax: shared.settings.batchMax)
    readBuffer = .allocate(byteCount: 1 << 16, alignment: 16)
    self.index = index
    logsRequests = shared.log.isDebugging
    baseKeys = (0..<Partition.count).map { setup.keyspace.base(Partition(index: $0)) }
    bases = baseKeys.map { key in
      var word = CommandBuffer()
      word.word(key)
      return word.bytes
    }
    recordPrefixes = (0..<Partition.count).map {
      Array(setup.keyspace.recordPrefix(Partition(index: $0)).utf8)
    }
    redis = RedisConnection(loop, setup, owner: self)
    loop.atTurnEnd { [unowned self] in turnEnded() }
    chores = LoopTimer(loop) { [unowned self] in runChores() }
    wakeup = LoopTimer(loop) {}
    lingerEnd = LoopTimer(loop) { [unowned self] in endLingering() }
  }

  deinit { readBuffer.deallocate() }

  /// Connects to Redis; once that is done, takes callers from the bound socket.
  func start(_ listener: Socket) {
    self.listener = listener
    redis?.start()
    chores?.set(afterMs: 100)
  }

  private func startListening() {
    guard let listener else { return }
    self.listener = nil
    do throws(SystemError) {
      try listener.listen(backlog: 4_096)
    } catch {
      shared.log.error("cannot listen", ["error": error.description])
      return
    }
    acceptor = Acceptor(loop, listener) { [unowned self] in accepted($0) }
    serves?()
    serves = nil
  }

  func obey(_ order: ServingOrder) {
    switch order {
    case .drain:
      listener?.close()
      listener = nil
      acceptor?.takeAll()
      acceptor = nil
      startDrain()
    case .principalsChanged: principalsChanged()
    case .stop: loop.stop()
    case .events(let events): subscriptions.received(events)
    case .tailAnswer(let answer): subscriptions.begun(answer)
    }
  }

  var redisStateWord: String { redis?.stateWord ?? "closed" }
  var redisVersion: String { redis?.redisVersion ?? "" }
}

// MARK: Answers

extension ServingLoop {
  /// Answers with a whole reply line, its end included.
  ///
  /// With `isHandOver`, `handedOver` follows when the kernel has all of it.
  func answer(
    _ ticket: Ticket, _ line: UnsafeBufferPointer<UInt8>, _ outcome: Outcome? = nil,
    isHandOver: Bool = false
  ) {
    let outcome = outcome ?? Outcome(line: line)
    counters.addRequest(verb: ticket.verb, outcome, ns: loop.nowNs - ticket.arrivedNs)
    if logsRequests { logRequest(ticket, outcome) }
    forget(ticket)
    connections[ConnectionID(packed: ticket.client)]?.answer(
      ticket.slot, line, isHandOver: isHandOver)
  }

  /// A request's words may be secrets or content, so that only its verb and outcome are logged.
  private func logRequest(_ ticket: Ticket, _ outcome: Outcome) {
    let isKnown = ticket.verb < VerbTable.all.count
    shared.log.debug(
      "request",
      [
        "connection": "\(index).\(ticket.client)",
        "verb": isKnown ? VerbTable.all[ticket.verb].name : "unknown", "outcome": outcome.label,
        "us": "\((MonotonicTime.nowNs() - ticket.arrivedNs) / 1_000)",
      ])
  }

  /// The name of a connection in the log.
  func logName(_ connection: Connection) -> String { "\(index).\(connection.id.packed)" }

  func answer(_ ticket: Ticket, _ error: RequestError) {
    var line: [UInt8] = []
    line.appendError(error)
    line.withUnsafeBufferPointer { answer(ticket, $0, Outcome(error.code)) }
  }

  /// Answers with a reply line without its end.
  ///
  /// One that `onlyReads` is refused when it is long and the worker crowded: nothing was changed.
  func answerText(
    _ ticket: Ticket, _ text: UnsafeBufferPointer<UInt8>, onlyReads: Bool = false
  ) {
    if text.count > Connection.littleBytes, onlyReads, isCrowded {
      counters.add(.crowdedReplies)
      return answer(ticket, ServingLoop.crowded("replies"))
    }
    answerWhole(ticket, text)
  }

  /// Answers with events of a group; `handedOver` follows when the kernel has all of them.
  func handOver(_ ticket: Ticket, _ text: UnsafeBufferPointer<UInt8>) {
    answerWhole(ticket, text, isHandOver: true)
  }

  private func answerWhole(
    _ ticket: Ticket, _ text: UnsafeBufferPointer<UInt8>, isHandOver: Bool = false
  ) {
    replyLine.removeAll(keepingCapacity: true)
    replyLine.append(contentsOf: text)
    replyLine.appendLineEnd()
    replyLine.withUnsafeBufferPointer { answer(ticket, $0, isHandOver: isHandOver) }
  }

  /// Sends an event to who watches.
  func push(_ watch: Watch, _ line: [UInt8]) {
    counters.add(.eventsPushed)
    guard let connection = connections[watch.connection] else { return }
    if connection.push(after: watch.ticketSlot, line) { counters.add(.crowdedWatches) }
  }

  /// Notes that something in the partition runs out after so long.
  ///
  /// Not before Redis has answered: a reap that overtakes the change finds nothing, and only the
  /// sweep comes again.
  func note(_ partition: Partition, dueInMs ms: Int64) {
    shared.deadlines.note(partition, inMs: ms, nowMs: loop.nowMs)
  }

  private func noteDeadline(of ticket: Ticket) {
    guard ticket.dueInMs >= 0 else { return }
    note(Partition(index: ticket.partition), dueInMs: ticket.dueInMs)
  }

  /// Refuses while Redis is away.
  func requireRedis() throws(RequestError) {
    guard let redis, redis.isReady else { throw RequestError(.unavailable, redisReason) }
  }

  /// Partitions in turn, so that none is always the first to be looked at.
  func nextPartition() -> Int {
    partitionTurn = (partitionTurn + 1) % Partition.count
    return partitionTurn
  }

  /// Puts a request about a device into the turn's batch of its script.
  func enqueue(
    _ script: Script, _ device: UnsafeBufferPointer<UInt8>, connection: Connection,
    ticket: Ticket, _ write: (inout CommandBuffer) -> Void
  ) throws(RequestError) {
    guard let redis, redis.isReady else { throw RequestError(.unavailable, redisReason) }
    let batch = batcher.batch(for: script, after: connection.latestBatch)
    connection.latestBatch = batch.sequence
    if script.keysAreRecords {
      batch.add(ticket, record: recordPrefixes[ticket.partition], device, write)
    } else {
      batch.add(ticket, base: bases[ticket.partition], write)
    }
  }
}

// MARK: Redis

extension ServingLoop: RedisConnectionOwner {
  func redisServes(_ redis: RedisConnection) {
    counters.set(1, .redisReady)
    shared.log.info("redis link is up", ["redis": redis.endpoint.publicText])
    startListening()
  }

  func redisFailed(_ redis: RedisConnection, reason: String) {
    let wasReady = counters[.redisReady] == 1
    counters.set(0, .redisReady)
    counters.add(.redisConnectionFailures)
    redisReason = "Redis is away: \(reason); nothing was done"
    for batch in batcher.takeAll() { batchFailed(redis, batch, .notSent(reason)) }
    // Only the first of a row of failed tries is worth a line; the next ones say nothing new.
    if wasReady {
      shared.log.warn("redis link is down", ["error": reason])
    } else {
      shared.log.debug("redis link could not be made", ["loop": "\(index)", "error": reason])
    }
  }

  func redisRefused(_ redis: RedisConnection, reason: String) {
    counters.set(0, .redisReady)
    redisReason = reason
    shared.log.error("redis cannot be used", ["error": reason])
  }

  func batchAnswered(_ redis: RedisConnection, _ batch: Batch, _ reply: RedisReply) {
    defer { batcher.recycle(batch) }
    counters.redisTimesUs.add(Int(loop.nowNs - batch.sentNs) / 1_000)
    guard reply.kind == .array, reply.count == batch.count else {
      batchRefused(batch, reply)
      return
    }
    var replyBytes = 0
    for index in 0..<batch.count {
      noteDeadline(of: batch.tickets[index])
      withLine(of: reply[index]) { line in
        replyBytes += line.count
        answerBatched(batch.tickets[index], batch.script, line)
      }
    }
    batcher.answered(batch, replyBytes: replyBytes)
  }

  private func answerBatched(
    _ ticket: Ticket, _ script: Script, _ reply: UnsafeBufferPointer<UInt8>
  ) {
    // Only a text that is no error goes on as it is.
    if reply.isEmpty || reply[0] == UInt8(ascii: "E"),
      case .failed(let error) = outcome(of: script, reply)
    {
      answer(ticket, error)
    } else if script.keysAreRecords, reply[0] <= UInt8(ascii: "9") {
      answerRenewal(ticket, script, reply)
    } else {
      answerText(ticket, reply, onlyReads: script.isReadOnly)
    }
  }

  /// The reply of a renewal is the lock's record: its line is made here, since a text costs Redis'
  /// one core more than a worker's.
  private func answerRenewal(
    _ ticket: Ticket, _ script: Script, _ reply: UnsafeBufferPointer<UInt8>
  ) {
    guard let record = LockRecord(reply) else {
      answer(ticket, scriptFailed(script, "a record that is none"))
      return
    }
    record.withRenewal(ttlMs: ticket.dueInMs) { answer(ticket, $0) }
  }

  /// Redis answered the whole batch with an error.
  private func batchRefused(_ batch: Batch, _ reply: RedisReply) {
    let error = refusal(of: batch.script, reply.text)
    for ticket in batch.tickets { answer(ticket, error) }
  }

  func batchFailed(_ redis: RedisConnection, _ batch: Batch, _ failure: RedisFailure) {
    let error = error(for: failure, batch.script)
    for ticket in batch.tickets {
      // Perhaps it was done.
      noteDeadline(of: ticket)
      answer(ticket, error)
    }
    batcher.recycle(batch)
  }
}

// MARK: Turns

extension ServingLoop {
  private func turnEnded() {
    defer {
      counters.set(inFlight, .requestsInFlight)
      counters.set(buffered.look(), .bufferedBytes)
      counters.set(Int(loop.nowMs), .turnedAtMs)
    }
    let rested = yielded
    yielded.removeAll(keepingCapacity: true)
    for connection in rested where !connection.isClosed { connection.release() }
    // Going on with parked callers makes new requests, and sending frees parked callers: a few
    // rounds settle nearly everything, and the next turn does the rest.
    for _ in 0..<4 {
      resumeParked()
      sendBatches()
      sendOutput()
      if toResume.isEmpty { break }
    }
    subscriptions.sendMoves()
    redis?.flush()
    if !toResume.isEmpty || !yielded.isEmpty { wakeup?.set(afterMs: 0) }
  }

  private func resumeParked() {
    let connections = toResume
    toResume.removeAll(keepingCapacity: true)
    for connection in connections where !connection.isClosed { connection.resume() }
  }

  private func sendBatches() {
    guard let redis, redis.isReady else { return }
    if redis.flight < flightMax { send(batcher.takeSome(), redis) }
    redis.flush()
    counters.set(redis.scriptsMended, .scriptsMended)
  }

  func sendAll(_ redis: RedisConnection) { send(batcher.takeAll(), redis) }

  private func send(_ taken: [Batch], _ redis: RedisConnection) {
    guard !taken.isEmpty else { return }
    let batches = taken.filter { !shedIfLate($0) }
    for batch in batches {
      counters.add(batch.count, .batchedRequests)
      counters.batchSizes.add(batch.count)
      let arrivedNs = batch.tickets.first?.arrivedNs ?? loop.nowNs
      counters.queueDelaysUs.add(Int(loop.nowNs - arrivedNs) / 1_000)
      batch.sentNs = loop.nowNs
    }
    counters.add(batches.count, .batches)
    redis.send(batches)
  }

  /// Refuses what has waited for so long that Redis would hardly answer it in time.
  ///
  /// A reply that does not come in time ends the connection, and with it what everybody waits for.
  private func shedIfLate(_ batch: Batch) -> Bool {
    let oldestNs = batch.tickets.first?.arrivedNs ?? loop.nowNs
    guard (loop.nowNs - oldestNs) / 1_000_000 >= settings.requestTimeoutMs * 4 / 5 else {
      return false
    }
    let error = RequestError(
      .unavailable, "Redis is behind with what it was asked; nothing was done")
    for ticket in batch.tickets { answer(ticket, error) }
    batcher.recycle(batch)
    return true
  }

  private func sendOutput() {
    let connections = withOutput
    withOutput.removeAll(keepingCapacity: true)
    for connection in connections {
      connection.isListedForOutput = false
      if !connection.isClosed { connection.sendOutput() }
    }
  }
}
