// Owns: a loop's way to Redis: its connection, the names of keys, the turn's batches and how many
// of them may be under way. Its callers name a partition; which key that is, which node has it
// and which connection goes there is decided here and nowhere else. Must not know what the replies
// mean. Runs on its loop's thread.

package import Loop
package import Metrics
internal import Records
package import RedisConnection
package import Scripts
internal import SessionModel
package import Wire

/// The callbacks of a store to its loop.
package protocol StoreOwner: AnyObject {
  /// Redis can be asked now.
  func storeServes()
  /// The requests of a batch have their replies, a line or more each, good during the call.
  ///
  /// Returns how many bytes the replies' lines take.
  func answered(_ batch: Batch, _ reply: RedisReply) -> Int
  /// These requests have no reply; `mayBeDone` where Redis may have done what changes something all
  /// the same.
  func failed(_ tickets: [Ticket], _ error: RequestError, mayBeDone: Bool)
}

/// One loop's access to Redis.
package final class Store {
  package let loop: EventLoop
  package let log: Log
  package let counters: Counters
  package let requestTimeoutMs: Int64
  /// Set before `start`.
  package unowned var owner: (any StoreOwner)?
  /// The number of its loop, for the log.
  private let index: Int
  let keys: StoreKeys
  package private(set) var redis: RedisConnection?
  private var batches: TurnBatches
  /// The next steps of requests in batches, by the batch's sequence and the place in it.
  private var steps: [UInt64: [Int: (ScriptOutcome) -> Void]] = [:]
  /// Where lines are made of what scripts give.
  var recordLine = RecordLine()
  /// Whether the log has a line of its own on the latest loss of the connection.
  private var isLossLogged = true
  /// The reason for callers while Redis is away.
  package private(set) var reason = "Redis is not connected yet"

  /// How many batches may be with Redis before the next ones wait and grow: two keep Redis busy
  /// while replies travel, and what gathers meanwhile shares a call.
  private static let flightMax = 2

  package init(
    _ loop: EventLoop, _ setup: RedisSetup, index: Int, batchMax: Int, log: Log,
    counters: Counters
  ) {
    self.loop = loop
    self.index = index
    self.log = log
    self.counters = counters
    requestTimeoutMs = setup.requestTimeoutMs
    keys = StoreKeys(setup.keyspace)
    batches = TurnBatches(requestsMax: batchMax)
    redis = RedisConnection(loop, setup, owner: self)
  }

  package func start() { redis?.start() }
  package func stop() { redis?.stop() }

  package var isReady: Bool { redis?.isReady == true }
  /// The state's name, for people.
  package var stateWord: String { redis?.stateWord ?? "closed" }
  package var redisVersion: String { redis?.redisVersion ?? "" }
  /// How scripts are called, `function` or `script`; empty until that is known.
  package var scriptWay: String { redis?.scriptWay ?? "" }

  /// Refuses while Redis is away.
  package func requireRedis() throws(RequestError) {
    guard isReady else { throw RequestError(.unavailable, reason) }
  }

  /// The key that a script gets of each partition of a query.
  package func keys(of query: ScriptQuery) -> [String] { query.partitions.map { keys.base($0) } }
}

// MARK: Batches

extension Store {
  /// Adds a request about a device to the turn's batch of its script, behind its caller's earlier
  /// requests.
  package func enqueue(
    _ script: Script, _ device: UnsafeBufferPointer<UInt8>, _ ticket: Ticket,
    _ write: (inout CommandBuffer) -> Void
  ) throws(RequestError) {
    guard let redis, redis.isReady else { throw RequestError(.unavailable, reason) }
    let batch = batches.batch(for: script, of: ConnectionID(packed: ticket.client))
    if batch.keysAreRecords {
      batch.add(ticket, record: keys.recordPrefixes[ticket.partition], device, write)
    } else {
      batch.add(ticket, base: keys.baseWords[ticket.partition], write)
    }
    assert(batch.isWhole, "a request for \(script.name) has too few words or too many")
  }

  /// Adds the first step of a request that may take several to the turn's batch of its script,
  /// behind its caller's earlier requests.
  ///
  /// `next` gets the outcome, exactly once.
  package func enqueue(
    _ query: ScriptQuery, _ ticket: Ticket, _ next: @escaping (ScriptOutcome) -> Void
  ) {
    guard let redis, redis.isReady else {
      return next(.failed(RequestError(.unavailable, reason)))
    }
    var ticket = ticket
    ticket.isStep = true
    // Its request may have waited; the step begins now.
    ticket.arrivedNs = loop.nowNs
    ticket.partition = query.partitions[0].index
    let batch = batches.batch(for: query.script, of: ConnectionID(packed: ticket.client))
    steps[batch.sequence, default: [:]][batch.count] = next
    batch.add(ticket, base: keys.baseWords[ticket.partition]) { $0.encoded(query.arguments) }
    assert(batch.isWhole, "a request for \(query.script.name) has too few words or too many")
  }

  /// Gives the reply of a batch's request that is a step to the next one.
  ///
  /// Returns how many bytes the reply's line has.
  package func goOn(_ place: Int, of batch: Batch, _ reply: RedisReply) -> Int {
    var count = 0
    guard let next = steps[batch.sequence]?[place] else { return count }
    withOutcome(of: batch.script, reply) { outcome in
      if case .line(let line, _) = outcome { count = line.count }
      next(outcome)
    }
    return count
  }

  /// The requests of a batch have no reply.
  private func fail(_ batch: Batch, _ error: RequestError, mayBeDone: Bool) {
    let steps = steps.removeValue(forKey: batch.sequence) ?? [:]
    owner?.failed(
      batch.tickets.filter { !$0.isStep }, error,
      mayBeDone: mayBeDone && !batch.script.isReadOnly)
    for (_, next) in steps.sorted(by: { $0.key < $1.key }) { next(.failed(error)) }
    batches.batcher.recycle(batch)
  }

  /// Sends the turn's batches, as far as Redis may be given more now.
  package func endTurn() {
    guard let redis, redis.isReady else { return }
    if redis.flight < Store.flightMax { send(batches.batcher.takeSome(), redis) }
    redis.flush()
    counters.set(redis.scriptsReloaded, .scriptsReloaded)
  }

  /// Sends the callers' requests of this turn, so that later calls come after them.
  package func sendWaiting() {
    if let redis, redis.isReady { send(batches.batcher.takeAll(), redis) }
  }

  /// Writes what was called for since the turn's batches.
  package func flush() { redis?.flush() }

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

  /// Refuses requests that have waited for so long that Redis would hardly answer them in time.
  ///
  /// A reply that does not come in time ends the connection, and with it all that is under way.
  private func shedIfLate(_ batch: Batch) -> Bool {
    let oldestNs = batch.tickets.first?.arrivedNs ?? loop.nowNs
    guard (loop.nowNs - oldestNs) / 1_000_000 >= requestTimeoutMs * 4 / 5 else { return false }
    let error = RequestError(
      .unavailable, "Redis is behind with what it was asked; nothing was done")
    fail(batch, error, mayBeDone: false)
    return true
  }
}

// MARK: Redis

extension Store: RedisConnectionOwner {
  package func redisServes(_ redis: RedisConnection) {
    counters.set(1, .redisReady)
    noteUp(redis)
    owner?.storeServes()
  }

  /// The return of a connection is logged at once where its loss was.
  private func noteUp(_ redis: RedisConnection) {
    let message = "redis connection is up"
    if isLossLogged {
      log.info(message, ["loop": "\(index)", "redis": redis.endpoint.publicText])
    } else {
      log.repeated(
        .info, message, cause: "\(index)",
        ["loop": "\(index)", "redis": redis.endpoint.publicText])
    }
  }

  package func redisFailed(_ redis: RedisConnection, reason: String) {
    let wasReady = counters[.redisReady] == 1
    counters.set(0, .redisReady)
    counters.add(.redisConnectionFailures)
    self.reason = "Redis is away: \(reason); nothing was done"
    for batch in batches.batcher.takeAll() { batchFailed(redis, batch, .notSent(reason)) }
    // Only the first of a series of failures is worth a line; the next ones say nothing new.
    if wasReady {
      isLossLogged = log.repeated(
        .warn, "redis connection is down", cause: "\(index)",
        ["loop": "\(index)", "error": reason])
    } else {
      log.debug("redis connection could not be made", ["loop": "\(index)", "error": reason])
    }
  }

  package func redisRefused(_ redis: RedisConnection, reason: String) {
    counters.set(0, .redisReady)
    self.reason = reason
    log.repeated(.error, "redis cannot be used", ["error": reason])
  }

  package func batchAnswered(_ redis: RedisConnection, _ batch: Batch, _ reply: RedisReply) {
    counters.redisTimesUs.add(Int(loop.nowNs - batch.sentNs) / 1_000)
    guard reply.kind == .array, reply.count == batch.count else {
      // Redis answered the whole batch with an error.
      return fail(batch, refusal(of: batch.script, reply.text), mayBeDone: false)
    }
    batches.batcher.answered(batch, replyBytes: owner?.answered(batch, reply) ?? 0)
    if !steps.isEmpty { steps[batch.sequence] = nil }
    batches.batcher.recycle(batch)
  }

  package func batchFailed(_ redis: RedisConnection, _ batch: Batch, _ failure: RedisFailure) {
    fail(batch, error(for: failure, batch.script), mayBeDone: true)
  }
}
