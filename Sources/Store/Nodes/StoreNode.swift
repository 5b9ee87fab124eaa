// Owns: a loop's way to one Redis node: its connection, the batches of the turn that go there, how
// many of them may be under way, and why it cannot be asked. Which partitions the node has is
// decided by `Nodes`. Must not know what the replies mean. Runs on its loop's thread.

internal import Loop
internal import Metrics
internal import RedisConnection
internal import Scripts
internal import Wire

/// The callbacks of a node to what uses it.
protocol StoreNodeOwner: AnyObject {
  var loop: EventLoop { get }
  var requestTimeoutMs: Int64 { get }
  /// Where the node counts; nil on the control loop.
  var figures: Counters? { get }
  /// Whether replies may have sealed values, which are opened for the devices of their requests.
  var opensValues: Bool { get }
  func nodeServes(_ node: StoreNode)
  /// It was ready if it `hadServed`.
  func nodeFailed(_ node: StoreNode, reason: String, hadServed: Bool)
  func nodeRefused(_ node: StoreNode, reason: String)
  /// It has no partition any more.
  func nodeRetired(_ node: StoreNode)
  /// Reads a reply of the node.
  func reading(from node: StoreNode, _ body: () -> Void)
  /// The requests of a batch have their replies; those that are elsewhere have none.
  ///
  /// Returns how many bytes the replies' lines take.
  func answered(_ batch: Batch, _ reply: RedisReply, from node: StoreNode) -> Int
  /// A batch was answered as a whole, with an error.
  func refusal(of batch: Batch, _ message: String) -> RequestError
  /// A batch has no reply.
  func error(for failure: RedisFailure, _ batch: Batch) -> RequestError
  /// Requests have no reply, and these steps none.
  func failed(
    _ batch: Batch, _ steps: [(ScriptOutcome) -> Void], _ error: RequestError, mayBeDone: Bool)
  /// Whether the caller's principal asks for little beside others.
  func asksLittle(_ client: UInt64) -> Bool
  /// A request was not done because its slot moves, or has moved.
  func slotMoves(_ partition: Int)
  /// A request was not done, and is to be sent elsewhere.
  func resend(
    _ request: Batch.Request, _ script: Script, _ step: ((ScriptOutcome) -> Void)?,
    _ origin: ParkedCalls.Origin)
}

/// One Redis node, as a loop reaches it.
final class StoreNode {
  private unowned let owner: any StoreNodeOwner
  private let loop: EventLoop
  private let figures: Counters?
  /// Its address, where Redis is a cluster.
  let address: Address?
  private let isCluster: Bool
  private(set) var redis: RedisConnection?
  private var batches: TurnBatches
  private var pace: NodePace
  /// The next steps of requests in batches, by the batch's sequence and the place in it.
  private var steps: [UInt64: [Int: (ScriptOutcome) -> Void]] = [:]
  /// Whether the log has a line of its own on the latest loss of the connection.
  var isLossLogged = true
  private var wasReady = false
  /// The partition, and its base key, by which batches of several requests find their way here.
  var route: (partition: Int, key: [UInt8])?
  /// When the node was met first, in monotonic ms, and whether it has served since.
  private let metAtMs: Int64
  private var hasServed = false
  /// Why the node cannot be asked.
  private(set) var awayReason: String
  /// The same for callers.
  var reason: String { "\(awayReason); nothing was done" }

  /// How many batches may be with Redis before the next ones wait and grow: two keep Redis busy
  /// while replies travel, and what gathers meanwhile shares a call.
  ///
  /// One of a cluster's nodes gets a part of the requests: with two its calls carried half as many.
  private var flightMax: Int { isCluster ? 1 : 2 }

  /// Without a setup it stands for a node that is missing.
  init(
    _ owner: any StoreNodeOwner, _ setup: RedisSetup?, batchMax: Int, address: Address? = nil
  ) {
    self.owner = owner
    loop = owner.loop
    figures = owner.figures
    self.address = address
    isCluster = setup?.isCluster == true
    metAtMs = loop.nowMs
    pace = NodePace(requestTimeoutMs: owner.requestTimeoutMs)
    awayReason =
      setup == nil ? "no node of the cluster has this slot" : "Redis is not connected yet"
    batches = TurnBatches(
      requestsMax: batchMax, tracksRequests: isCluster || owner.opensValues)
    if let setup { redis = RedisConnection(loop, setup, owner: self) }
  }

  func start() { redis?.start() }
  func stop() { redis?.stop() }

  var isReady: Bool { redis?.isReady == true }
  /// The name of a node of a cluster; empty of a single server.
  var name: String { address.map { "\($0)" } ?? "" }

  /// Whether the node was met just now, and is being connected to: requests wait for it.
  func isArriving(nowMs: Int64) -> Bool {
    isCluster && !hasServed && nowMs - metAtMs < owner.requestTimeoutMs
  }

  /// The batch of the turn that the next request of a caller joins: with `isAlone` one for its
  /// partition only.
  ///
  /// One that would wait for too long is refused, unless it `isAdmitted` already.
  func batch(
    for script: Script, of client: UInt64, _ partition: Int, isAlone: Bool,
    isAdmitted: Bool = false
  ) throws(RequestError) -> Batch {
    guard let redis, redis.isReady else { throw RequestError(.unavailable, reason) }
    if !isAdmitted { try admit(client) }
    pace.began(nowNs: loop.nowNs)
    return batches.batch(
      for: script, of: ConnectionID(packed: client),
      partition: redis.spansSlots && !isAlone ? nil : partition)
  }

  /// Refuses a request that would wait for too long, before it costs the node anything.
  func admit(_ client: UInt64) throws(RequestError) {
    guard !pace.admits(nowNs: loop.nowNs), !owner.asksLittle(client) else { return }
    figures?.add(.queueRefusals)
    throw StoreNode.isBehind
  }

  private static let isBehind = RequestError(
    .overloaded,
    "Redis is behind with what it was asked; nothing was done, retry after a pause")

  /// How many requests may be under way so that further ones wait little; nil for any number.
  func room() -> Int? { pace.room(nowNs: loop.nowNs) }

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
    if redis.flight < flightMax { send(batches.batcher.takeSome(), redis) }
    redis.flush()
  }

  /// Sends all of this turn's requests, so that later calls come after them.
  func sendWaiting() {
    if let redis, redis.isReady { send(batches.batcher.takeAll(), redis) }
  }

  func flush() { redis?.flush() }

  /// Calls the handler once all that was asked until now has its answer, or will have none.
  ///
  /// Returns false, and does not call it, if nothing is under way. It may be called at once, where
  /// the connection turns out to have ended.
  func fence(_ handler: @escaping () -> Void) -> Bool {
    guard let redis, redis.isReady else { return false }
    sendWaiting()
    return redis.isReady && redis.fence(timeoutMs: owner.requestTimeoutMs, handler)
  }

  private func send(_ taken: [Batch], _ redis: RedisConnection) {
    guard !taken.isEmpty else { return }
    let batches = taken.filter { !shedIfLate($0) }
    for batch in batches {
      figures?.add(batch.count, .batchedRequests)
      figures?.batchSizes.add(batch.count)
      let arrivedNs = batch.tickets.first?.arrivedNs ?? loop.nowNs
      figures?.queueDelaysUs.add(Int(loop.nowNs - arrivedNs) / 1_000)
      batch.sentNs = loop.nowNs
      if isCluster, batch.count > 1, redis.spansSlots { batch.route = route }
    }
    figures?.add(batches.count, .batches)
    redis.send(batches)
  }

  /// Refuses requests that have waited for so long that Redis would hardly answer them in time.
  ///
  /// An answer that comes in time is worth more than one that says that nothing is known.
  private func shedIfLate(_ batch: Batch) -> Bool {
    let nowNs = loop.nowNs
    let oldestNs = batch.tickets.first?.arrivedNs ?? nowNs
    guard (nowNs - oldestNs) / 1_000_000 >= owner.requestTimeoutMs * 3 / 5 else { return false }
    let error = RequestError(
      .unavailable, "Redis is behind with what it was asked; nothing was done")
    fail(batch, error, mayBeDone: false)
    return true
  }

  /// The requests of a batch are not with the node any more.
  private func drop(_ batch: Batch, isLate: Bool = false) {
    pace.left(batch.count, isLate: isLate, nowNs: loop.nowNs)
    batches.batcher.recycle(batch)
  }

  /// The requests of a batch have no reply.
  private func fail(_ batch: Batch, _ error: RequestError, mayBeDone: Bool) {
    let steps = steps.removeValue(forKey: batch.sequence) ?? [:]
    owner.failed(
      batch, steps.sorted { $0.key < $1.key }.map(\.value), error,
      mayBeDone: mayBeDone && !batch.script.isReadOnly)
    drop(batch, isLate: mayBeDone)
  }
}

// MARK: Slots that are elsewhere

extension StoreNode {
  /// What sends the requests of the turn elsewhere, in their order: they were not sent here.
  func takeWaiting() -> [() -> Void] {
    batches.batcher.takeAll().map { batch in { [self] in resendAll(batch, .takenBack) } }
  }

  private func resendAll(_ batch: Batch, _ origin: ParkedCalls.Origin) {
    for place in 0..<batch.count { resend(place, of: batch, origin) }
    if !steps.isEmpty { steps[batch.sequence] = nil }
    drop(batch)
  }

  private func resend(_ place: Int, of batch: Batch, _ origin: ParkedCalls.Origin) {
    let step = steps[batch.sequence]?.removeValue(forKey: place)
    let request = batch.request(place)
    batch.setElsewhere(place)
    owner.resend(request, batch.script, step, origin)
  }

  /// Sends those requests of a batch elsewhere that its node could not do.
  private func resendMoved(_ batch: Batch, _ reply: RedisReply) {
    let places = (0..<batch.count).filter { reply[$0].isElsewhere }
    guard !places.isEmpty else { return }
    let behind = takeBack(behind: Set(places.map { batch.tickets[$0].partition }))
    for place in places {
      owner.slotMoves(batch.tickets[place].partition)
      resend(place, of: batch, .returned)
    }
    behind.forEach { $0() }
  }

  /// Takes back what was to be sent behind requests of these partitions that go elsewhere, since
  /// the slot may be here again before it is: the turn's, and by hash what waits for the answers to
  /// its callers' earlier batches.
  ///
  /// Returns what parks it, in its order.
  func takeBack(behind partitions: Set<Int>) -> [() -> Void] {
    let waiting = (redis?.takeWaiting() ?? []).map { waiting in
      { [self] in
        switch waiting {
        case .batch(let batch): resendAll(batch, .takenBack)
        case .call(let handler): handler(.failure(.overtaken))
        }
      }
    }
    return waiting
      + batches.batcher.takeBack(from: partitions).map { batch in
        { [self] in resendAll(batch, .takenBack) }
      }
  }
}

// MARK: The connection

extension StoreNode: RedisConnectionOwner {
  func redisServes(_ redis: RedisConnection) {
    (wasReady, hasServed) = (true, true)
    pace.connected(nowNs: loop.nowNs)
    owner.nodeServes(self)
  }

  func redisFailed(_ redis: RedisConnection, reason: String) {
    let hadServed = wasReady
    wasReady = false
    awayReason = "\(place) is away: \(reason)"
    for batch in batches.batcher.takeAll() { batchFailed(redis, batch, .notSent(reason)) }
    owner.nodeFailed(self, reason: reason, hadServed: hadServed)
  }

  /// What callers know the node as.
  private var place: String { address.map { "the Redis node \($0)" } ?? "Redis" }

  func redisRefused(_ redis: RedisConnection, reason: String) {
    wasReady = false
    awayReason = reason
    owner.nodeRefused(self, reason: reason)
  }

  func batchAnswered(_ redis: RedisConnection, _ batch: Batch, _ reply: RedisReply) {
    figures?.redisTimesUs.add(Int(loop.nowNs - batch.sentNs) / 1_000)
    owner.reading(from: self) {
      guard reply.kind == .array, reply.count == batch.count else {
        if isCluster, reply.kind == .error, case .elsewhere = StoreError(reply.text) {
          owner.slotMoves(batch.route?.partition ?? batch.tickets[0].partition)
          let behind = takeBack(behind: Set(batch.tickets.map(\.partition)))
          resendAll(batch, .returned)
          return behind.forEach { $0() }
        }
        // Redis answered the whole batch with an error.
        return fail(batch, owner.refusal(of: batch, reply.text), mayBeDone: false)
      }
      if isCluster { resendMoved(batch, reply) }
      let replyBytes = owner.answered(batch, reply, from: self)
      batches.batcher.answered(batch, replyBytes: replyBytes)
      if !steps.isEmpty { steps[batch.sequence] = nil }
      pace.answered(batch.count, arrivedNs: batch.tickets[0].arrivedNs, nowNs: loop.nowNs)
      batches.batcher.recycle(batch)
    }
  }

  func batchFailed(_ redis: RedisConnection, _ batch: Batch, _ failure: RedisFailure) {
    fail(batch, owner.error(for: failure, batch), mayBeDone: true)
  }
}
