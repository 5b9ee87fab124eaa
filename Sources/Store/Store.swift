// Owns: a loop's way to Redis: the names of keys, the nodes, and which of them has each partition.
// Its callers name a partition; which key that is and which node has it is decided here and nowhere
// else. Must not know what the replies mean. Runs on its loop's thread.

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
  let index: Int
  let keys: StoreKeys
  /// All nodes; there is one at least.
  private var nodes: [StoreNode] = []
  /// The node of each partition.
  private var nodeOf: [StoreNode] = []
  /// The node whose reply is being read.
  private var answering: StoreNode?
  /// Where lines are made of what scripts give.
  var recordLine = RecordLine()

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
    let node = StoreNode(self, setup, batchMax: batchMax)
    nodes = [node]
    nodeOf = Partition.all.map { _ in node }
  }

  package func start() { for node in nodes { node.start() } }
  package func stop() { for node in nodes { node.stop() } }

  package var isReady: Bool { nodes.contains { $0.isReady } }
  /// The state's name, for people.
  package var stateWord: String { nodes[0].redis?.stateWord ?? "closed" }
  package var redisVersion: String { nodes[0].redis?.redisVersion ?? "" }
  /// How scripts are called, `function` or `script`; empty until that is known.
  package var scriptWay: String { nodes[0].redis?.scriptWay ?? "" }

  /// Refuses while Redis is away.
  package func requireRedis() throws(RequestError) {
    guard isReady else { throw RequestError(.unavailable, nodes[0].reason) }
  }

  /// The node that has a partition.
  func node(of partition: Partition) -> StoreNode { nodeOf[partition.index] }

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
    let batch = try nodeOf[ticket.partition].batch(for: script, of: ticket.client)
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
    var ticket = ticket
    ticket.isStep = true
    // Its request may have waited; the step begins now.
    ticket.arrivedNs = loop.nowNs
    ticket.partition = query.partitions[0].index
    let node = nodeOf[ticket.partition]
    do throws(RequestError) {
      let batch = try node.batch(for: query.script, of: ticket.client)
      node.expectStep(in: batch, next)
      batch.add(ticket, base: keys.baseWords[ticket.partition]) { $0.encoded(query.arguments) }
      assert(batch.isWhole, "a request for \(query.script.name) has too few words or too many")
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
    withOutcome(of: batch.script, reply) { outcome in
      if case .line(let line, _) = outcome { count = line.count }
      next(outcome)
    }
    return count
  }

  /// Sends the turn's batches, as far as Redis may be given more now.
  package func endTurn() {
    for node in nodes { node.endTurn() }
    counters.set(nodes.reduce(0) { $0 + ($1.redis?.scriptsReloaded ?? 0) }, .scriptsReloaded)
  }

  /// Sends the callers' requests of this turn, so that later calls come after them.
  package func sendWaiting() {
    for node in nodes { node.sendWaiting() }
  }

  /// Writes what was called for since the turn's batches.
  package func flush() {
    for node in nodes { node.flush() }
  }
}

// MARK: Nodes

extension Store {
  func nodeServes(_ node: StoreNode) {
    counters.set(1, .redisReady)
    owner?.storeServes()
  }

  func nodeFailed(_ node: StoreNode) {
    counters.set(isReady ? 1 : 0, .redisReady)
    counters.add(.redisConnectionFailures)
  }

  func nodeRefused(_ node: StoreNode) { counters.set(isReady ? 1 : 0, .redisReady) }

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

  /// A message of Redis about a script, in which places are those of the Lua files.
  func located(_ message: String, in script: Script) -> String {
    nodes[0].redis?.located(message, in: script) ?? message
  }
}
