// Owns: a loop's way to one Redis node: its connection, the batches of the turn that go there, how
// many of them may be under way, and why it cannot be asked. Which partitions the node has is
// decided by `Store`. Must not know what the replies mean. Runs on its loop's thread.

internal import Loop
internal import Metrics
internal import RedisConnection
internal import Scripts
internal import Wire

/// One Redis node, as a loop reaches it.
final class StoreNode {
  private unowned let store: Store
  private(set) var redis: RedisConnection?
  private var batches: TurnBatches
  /// The next steps of requests in batches, by the batch's sequence and the place in it.
  private var steps: [UInt64: [Int: (ScriptOutcome) -> Void]] = [:]
  /// Whether the log has a line of its own on the latest loss of the connection.
  private var isLossLogged = true
  private var wasReady = false
  /// The reason for callers while the node is away.
  private(set) var reason = "Redis is not connected yet"

  /// How many batches may be with Redis before the next ones wait and grow: two keep Redis busy
  /// while replies travel, and what gathers meanwhile shares a call.
  private static let flightMax = 2

  init(_ store: Store, _ setup: RedisSetup, batchMax: Int) {
    self.store = store
    batches = TurnBatches(requestsMax: batchMax)
    redis = RedisConnection(store.loop, setup, owner: self)
  }

  func start() { redis?.start() }
  func stop() { redis?.stop() }

  var isReady: Bool { redis?.isReady == true }

  /// The connection, unless the node is away.
  func connection() throws(RequestError) -> RedisConnection {
    guard let redis, redis.isReady else { throw RequestError(.unavailable, reason) }
    return redis
  }

  /// The batch of the turn that the next request of a caller joins.
  func batch(for script: Script, of client: UInt64) throws(RequestError) -> Batch {
    guard let redis, redis.isReady else { throw RequestError(.unavailable, reason) }
    return batches.batch(for: script, of: ConnectionID(packed: client))
  }

  /// The request that is next in this batch is a step: `next` gets its outcome, exactly once.
  func expectStep(in batch: Batch, _ next: @escaping (ScriptOutcome) -> Void) {
    steps[batch.sequence, default: [:]][batch.count] = next
  }

  /// What is to get the outcome of a batch's request that is a step.
  func step(_ place: Int, of batch: Batch) -> ((ScriptOutcome) -> Void)? {
    steps[batch.sequence]?[place]
  }
}

// MARK: Sending

extension StoreNode {
  /// Sends the turn's batches, as far as the node may be given more now.
  func endTurn() {
    guard let redis, redis.isReady else { return }
    if redis.flight < StoreNode.flightMax { send(batches.batcher.takeSome(), redis) }
    redis.flush()
  }

  /// Sends all of this turn's requests, so that later calls come after them.
  func sendWaiting() {
    if let redis, redis.isReady { send(batches.batcher.takeAll(), redis) }
  }

  func flush() { redis?.flush() }

  private func send(_ taken: [Batch], _ redis: RedisConnection) {
    guard !taken.isEmpty else { return }
    let (loop, counters) = (store.loop, store.counters)
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
    let nowNs = store.loop.nowNs
    let oldestNs = batch.tickets.first?.arrivedNs ?? nowNs
    guard (nowNs - oldestNs) / 1_000_000 >= store.requestTimeoutMs * 4 / 5 else { return false }
    let error = RequestError(
      .unavailable, "Redis is behind with what it was asked; nothing was done")
    fail(batch, error, mayBeDone: false)
    return true
  }

  /// The requests of a batch have no reply.
  private func fail(_ batch: Batch, _ error: RequestError, mayBeDone: Bool) {
    let steps = steps.removeValue(forKey: batch.sequence) ?? [:]
    store.owner?.failed(
      batch.tickets.filter { !$0.isStep }, error,
      mayBeDone: mayBeDone && !batch.script.isReadOnly)
    for (_, next) in steps.sorted(by: { $0.key < $1.key }) { next(.failed(error)) }
    batches.batcher.recycle(batch)
  }
}

// MARK: The connection

extension StoreNode: RedisConnectionOwner {
  func redisServes(_ redis: RedisConnection) {
    wasReady = true
    noteUp(redis)
    store.nodeServes(self)
  }

  /// The return of a connection is logged at once where its loss was.
  private func noteUp(_ redis: RedisConnection) {
    let message = "redis connection is up"
    let (loop, place) = ("\(store.index)", redis.endpoint.publicText)
    if isLossLogged {
      store.log.info(message, ["loop": loop, "redis": place])
    } else {
      store.log.repeated(.info, message, cause: loop, ["loop": loop, "redis": place])
    }
  }

  func redisFailed(_ redis: RedisConnection, reason: String) {
    let hadServed = wasReady
    wasReady = false
    store.nodeFailed(self)
    self.reason = "Redis is away: \(reason); nothing was done"
    for batch in batches.batcher.takeAll() { batchFailed(redis, batch, .notSent(reason)) }
    // Only the first of a series of failures is worth a line; the next ones say nothing new.
    let fields: KeyValuePairs = ["loop": "\(store.index)", "error": reason]
    if hadServed {
      isLossLogged = store.log.repeated(
        .warn, "redis connection is down", cause: "\(store.index)", fields)
    } else {
      store.log.debug("redis connection could not be made", fields)
    }
  }

  func redisRefused(_ redis: RedisConnection, reason: String) {
    wasReady = false
    store.nodeRefused(self)
    self.reason = reason
    store.log.repeated(.error, "redis cannot be used", ["error": reason])
  }

  func batchAnswered(_ redis: RedisConnection, _ batch: Batch, _ reply: RedisReply) {
    store.counters.redisTimesUs.add(Int(store.loop.nowNs - batch.sentNs) / 1_000)
    store.reading(from: self) {
      guard reply.kind == .array, reply.count == batch.count else {
        // Redis answered the whole batch with an error.
        return fail(batch, store.refusal(of: batch.script, reply.text), mayBeDone: false)
      }
      let replyBytes = store.owner?.answered(batch, reply) ?? 0
      batches.batcher.answered(batch, replyBytes: replyBytes)
      if !steps.isEmpty { steps[batch.sequence] = nil }
      batches.batcher.recycle(batch)
    }
  }

  func batchFailed(_ redis: RedisConnection, _ batch: Batch, _ failure: RedisFailure) {
    fail(batch, store.error(for: failure, batch.script), mayBeDone: true)
  }
}
