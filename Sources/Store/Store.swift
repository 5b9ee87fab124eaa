// Owns: a loop's way to Redis: the names of keys, the nodes, and which of them has each partition.
// Its callers name a partition; which key that is and which node has it is decided here and nowhere
// else. What a script replies becomes a line or an error here (StoreCalls.swift); what comes of it
// is its caller's. Runs on its loop's thread.

package import Loop
package import Metrics
internal import Records
package import RedisConnection
package import Scripts
package import Seal
package import SessionModel
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
  /// Whether the principal of the connection asks for little beside others.
  func asksLittle(_ client: ConnectionID) -> Bool
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
  let index: Int
  let keys: StoreKeys
  private let setup: RedisSetup
  private let batchMax: Int
  private lazy var nodes = Nodes(loop, setup, keys, batchMax: batchMax, owner: self)
  /// The node whose reply is being read.
  private var answering: StoreNode?
  /// Whether the owner knows that Redis can be asked.
  private var hasServed = false
  /// Ends the wait for the last nodes of a cluster at the start.
  private var firstServes: LoopTimer?
  /// Where lines are made of what scripts give.
  var recordLine: RecordLine
  /// By which sealed values are opened; nil without keys.
  package let seal: Seal?

  /// Whether the reply that is being read is of a batch that too few replicas have.
  package private(set) var isUnacknowledged = false

  package init(
    _ loop: EventLoop, _ setup: RedisSetup, index: Int, batchMax: Int, log: Log,
    counters: Counters, seal: Seal? = nil
  ) {
    self.seal = seal
    recordLine = RecordLine(seal: seal)
    self.loop = loop
    self.index = index
    self.log = log
    self.counters = counters
    requestTimeoutMs = setup.requestTimeoutMs
    keys = StoreKeys(setup.keyspace)
    (self.setup, self.batchMax) = (setup, batchMax)
    nodes.changed = { [unowned self] in countAway() }
    firstServes = LoopTimer(loop) { [unowned self] in serves() }
  }

  package func start() { nodes.start() }
  package func stop() {
    firstServes?.cancel()
    nodes.stop()
  }

  /// All nodes; there is one at least.
  private var all: [StoreNode] { nodes.all }

  /// Whether some node can be asked.
  package var isReady: Bool { nodes.isAnyReady }
  /// Whether the node of a partition can be asked.
  package func isReady(_ partition: Partition) -> Bool {
    nodes.node(of: partition).isReady
  }
  /// The partitions whose node cannot be asked, of a cluster of which another node can.
  package var away: [Partition] { isReady ? nodes.away : [] }
  /// The state's name, for people: that of the node which is farthest from serving.
  package var stateWord: String {
    (all.first { !$0.isReady } ?? all.first)?.redis?.stateWord ?? "closed"
  }
  package var isCluster: Bool { nodes.isCluster }
  /// The states of the nodes by their names, of which a single server has none, and how many
  /// partitions each has.
  package var nodeStates: [(name: String, state: String, partitions: Int)] {
    all.filter { $0.redis != nil }.map { node in
      (
        name: node.name, state: node.redis?.stateWord ?? "closed",
        partitions: nodes.partitions(of: node).count
      )
    }
  }
  private var first: RedisConnection? { (all.first { $0.isReady } ?? all.first)?.redis }
  package var redisVersion: String { first?.redisVersion ?? "" }
  /// How scripts are called, `function` or `script`; empty until that is known.
  package var scriptWay: String { first?.scriptWay ?? "" }

  /// Refuses a request of a connection while Redis is away, or so far behind that it would be late.
  package func requireRedis(for client: UInt64) throws(RequestError) {
    guard isReady else { throw RequestError(.unavailable, nodes.reason) }
    // A cluster's node is not known yet.
    if !nodes.isCluster { try nodes.all[0].admit(client) }
  }

  /// How many requests may be under way so that further ones wait little; nil for any number.
  package func room() -> Int? {
    var least: Int?
    for node in all { if let room = node.room() { least = min(least ?? room, room) } }
    return least
  }

  /// The key that a script gets of each partition of a query.
  package func keys(of query: ScriptQuery) -> [String] { query.partitions.map { keys.base($0) } }

  /// Calls a script at the nodes that have its partitions.
  func ask(
    _ query: ScriptQuery, timeoutMs: Int64,
    _ done: @escaping (Result<RedisReply, RequestError>) -> Void
  ) {
    nodes.ask(query, keys: keys, timeoutMs: timeoutMs) { [unowned self] result in
      done(result.mapError { error(for: $0, query.script) })
    }
  }
}

// MARK: Batches

extension Store {
  /// Adds a request about a device to the turn's batch of its script, behind its caller's earlier
  /// requests.
  package func enqueue(
    _ script: Script, _ device: UnsafeBufferPointer<UInt8>, _ ticket: Ticket,
    _ write: (inout CommandBuffer) -> Void
  ) throws(RequestError) {
    let node = nodes.node(of: ticket.partition)
    if nodes.isCluster, nodes.isHeld(ticket.partition) || node.isArriving(nowMs: loop.nowMs) {
      return hold(script, device, ticket, write)
    }
    let isAlone = nodes.isCluster && nodes.isMoving(ticket.partition)
    let batch = try node.batch(for: script, of: ticket.client, ticket.partition, isAlone: isAlone)
    add(to: batch, device, ticket, write)
    assert(batch.isWhole, "a request for \(script.name) has too few words or too many")
    if isAlone { nodes.gave(ticket.partition) }
  }

  private func add(
    to batch: Batch, _ device: UnsafeBufferPointer<UInt8>, _ ticket: Ticket,
    _ write: (inout CommandBuffer) -> Void
  ) {
    if batch.keysAreRecords {
      batch.add(ticket, record: keys.recordPrefixes[ticket.partition], device, write)
    } else {
      batch.add(ticket, base: keys.baseWords[ticket.partition], write)
    }
  }

  /// Keeps a request whose node is not known, or not there yet.
  private func hold(
    _ script: Script, _ device: UnsafeBufferPointer<UInt8>, _ ticket: Ticket,
    _ write: (inout CommandBuffer) -> Void
  ) {
    let batch = Batch(of: script)
    add(to: batch, device, ticket, write)
    resend(batch.request(0), script, nil, .held)
  }

  /// Adds the first step of a request that may take several to the turn's batch of its script,
  /// behind its caller's earlier requests.
  ///
  /// `next` gets the outcome, exactly once.
  package func enqueue(
    _ query: ScriptQuery, _ ticket: Ticket, _ next: @escaping (ScriptOutcome) -> Void
  ) {
    var ticket = ticket
    ticket.isStep = true
    // Its request may have waited; the step begins now.
    ticket.arrivedNs = loop.nowNs
    ticket.partition = query.partitions[0].index
    let node = nodes.node(of: ticket.partition)
    let add = { [unowned self] (batch: Batch) in
      batch.add(ticket, base: keys.baseWords[ticket.partition]) { $0.encoded(query.arguments) }
      assert(batch.isWhole, "a request for \(query.script.name) has too few words or too many")
    }
    if nodes.isCluster, nodes.isHeld(ticket.partition) || node.isArriving(nowMs: loop.nowMs) {
      let batch = Batch(of: query.script)
      add(batch)
      return resend(batch.request(0), query.script, next, .held)
    }
    do throws(RequestError) {
      let batch = try node.batch(
        for: query.script, of: ticket.client, ticket.partition,
        isAlone: nodes.isMoving(ticket.partition))
      node.expectStep(in: batch, next)
      add(batch)
      nodes.gave(ticket.partition)
    } catch {
      next(.failed(error))
    }
  }

  /// Gives the reply of a batch's request that is a step to the next one.
  ///
  /// Returns how many bytes the reply's line has.
  package func goOn(_ place: Int, of batch: Batch, _ reply: RedisReply) -> Int {
    var count = 0
    guard let next = answering?.step(place, of: batch) else { return count }
    withOutcome(of: batch, place, reply) { outcome in
      if case .line(let line, _) = outcome { count = line.count }
      next(outcome)
    }
    return count
  }

  /// Sends the turn's batches, as far as Redis may be given more now.
  package func endTurn() {
    var reloaded = 0
    for node in all {
      node.endTurn()
      reloaded += node.redis?.scriptsReloaded ?? 0
    }
    nodes.discovery?.flush()
    counters.set(reloaded, .scriptsReloaded)
  }

  /// Sends the callers' requests of this turn, so that later calls come after them.
  package func sendWaiting() {
    for node in all { node.sendWaiting() }
  }

  /// Writes what was called for since the turn's batches.
  package func flush() { nodes.flush() }
}

// MARK: Nodes

extension Store: StoreNodeOwner {
  var figures: Counters? { counters }
  var opensValues: Bool { seal != nil }

  func nodeServes(_ node: StoreNode) {
    counters.set(1, .redisReady)
    noteUp(node)
    nodes.served()
    countAway()
    // At the start those that come later are waited for, if not for long.
    guard hasServed || nodes.areAllReady else {
      if firstServes?.isSet != true { firstServes?.set(afterMs: Store.firstServesMs) }
      return
    }
    serves()
  }

  private static let firstServesMs: Int64 = 1_000

  private func serves() {
    firstServes?.cancel()
    hasServed = true
    owner?.storeServes()
  }

  /// The return of a connection is logged at once where its loss was.
  private func noteUp(_ node: StoreNode) {
    let message = "redis connection is up"
    let cause = "\(index)\(node.name)"
    let place = node.redis?.serverText ?? ""
    let fields: KeyValuePairs = ["loop": "\(index)", "redis": place]
    if node.isLossLogged {
      log.info(message, fields)
    } else {
      log.repeated(.info, message, cause: cause, fields)
    }
  }

  func nodeFailed(_ node: StoreNode, reason: String, hadServed: Bool) {
    counters.set(isReady ? 1 : 0, .redisReady)
    counters.add(.redisConnectionFailures)
    nodes.nodesMayHaveChanged()
    countAway()
    // Only the first of a series of failures is worth a line; the next ones say nothing new.
    let cause = "\(index)\(node.name)"
    let fields: KeyValuePairs = [
      "loop": "\(index)", "redis": node.redis?.endpoint.publicText ?? "", "error": reason,
    ]
    if hadServed {
      node.isLossLogged = log.repeated(.warn, "redis connection is down", cause: cause, fields)
    } else {
      log.debug("redis connection could not be made", fields)
    }
  }

  func nodeRefused(_ node: StoreNode, reason: String) {
    counters.set(isReady ? 1 : 0, .redisReady)
    countAway()
    log.repeated(.error, "redis cannot be used", ["error": reason])
  }

  func nodeRetired(_ node: StoreNode) {
    log.info("a redis node has no slots any more", ["loop": "\(index)", "redis": node.name])
  }

  private func countAway() { counters.set(nodes.away.count, .partitionsAway) }

  /// Reads a reply of a node: the connection to it is left if it says that its server is not the
  /// one for work.
  func reading(from node: StoreNode, _ body: () -> Void) {
    let before = answering
    answering = node
    body()
    answering = before
  }

  /// The server whose reply is being read is not the one for work, or not any more.
  func leave(reason: String) { answering?.redis?.leave(reason: reason) }

  /// The same of a server that was not in a cluster, and is now.
  func leaveIfSingle(reason: String) { if !nodes.isCluster { leave(reason: reason) } }

  /// A message of Redis about a script, in which places are those of the Lua files.
  func located(_ message: String, in script: Script) -> String {
    first?.located(message, in: script) ?? message
  }

  func answered(_ batch: Batch, _ reply: RedisReply, from node: StoreNode) -> Int {
    isUnacknowledged = batch.isUnacknowledged
    defer { isUnacknowledged = false }
    return owner?.answered(batch, reply) ?? 0
  }

  func refusal(of batch: Batch, _ message: String) -> RequestError {
    refusal(of: batch.script, message)
  }

  func error(for failure: RedisFailure, _ batch: Batch) -> RequestError {
    error(for: failure, batch.script)
  }

  func failed(
    _ batch: Batch, _ steps: [(ScriptOutcome) -> Void], _ error: RequestError, mayBeDone: Bool
  ) {
    owner?.failed(
      batch.tickets.filter { !$0.isStep && !$0.isElsewhere }, error, mayBeDone: mayBeDone)
    for step in steps { step(.failed(error)) }
  }

  func asksLittle(_ client: UInt64) -> Bool {
    owner?.asksLittle(ConnectionID(packed: client)) ?? false
  }

  func slotMoves(_ partition: Int) { nodes.slotMoves(partition) }

  func resend(
    _ request: Batch.Request, _ script: Script, _ step: ((ScriptOutcome) -> Void)?,
    _ origin: ParkedCalls.Origin
  ) {
    let ticket = request.ticket
    let fail = { [unowned self] in
      let node = nodes.node(of: ticket.partition)
      let reason = node.isReady ? nil : node.reason
      let error = RequestError(
        .unavailable,
        reason ?? "the slot of this device is on its way to another node; nothing was done")
      if let step { return step(.failed(error)) }
      owner?.failed([ticket], error, mayBeDone: false)
    }
    nodes.park(
      ParkedCalls.Entry(
        partitions: [Partition(index: ticket.partition)],
        // Later a node would not be given it any more.
        untilMs: ticket.arrivedNs / 1_000_000 + requestTimeoutMs * 3 / 5,
        resend: { [unowned self] in enqueue(request, script, step) }, fail: fail),
      origin)
  }

  private func enqueue(
    _ request: Batch.Request, _ script: Script, _ step: ((ScriptOutcome) -> Void)?
  ) {
    let node = nodes.node(of: request.ticket.partition)
    if nodes.isHeld(request.ticket.partition) || node.isArriving(nowMs: loop.nowMs) {
      return resend(request, script, step, .held)
    }
    do throws(RequestError) {
      let batch = try node.batch(
        for: script, of: request.ticket.client, request.ticket.partition,
        isAlone: nodes.isMoving(request.ticket.partition), isAdmitted: true)
      if let step { node.expectStep(in: batch, step) }
      batch.add(request)
      nodes.gave(request.ticket.partition)
    } catch {
      if let step { return step(.failed(error)) }
      owner?.failed([request.ticket], error, mayBeDone: false)
    }
  }
}
