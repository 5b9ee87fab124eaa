// Owns: the control loop's own way to Redis, apart from those that carry callers' requests. As with
// theirs, its users name a partition and no key. Runs on the main thread.

package import Loop
internal import Metrics
package import RedisConnection
internal import Scripts
package import SessionModel
internal import Wire

/// A Redis node, as the control loop knows it.
package struct ControlNode: Hashable {
  /// Its address; empty for a single server.
  package let name: String
  package let endpoint: RedisEndpoint
  /// The first of its partitions, in which it has the lists of workers and libraries.
  package let home: Partition
}

/// The control loop's access to Redis.
package final class ControlStore {
  package enum ConnectionEvent {
    /// Redis can be asked, or a further node of it.
    case up
    /// Redis cannot be asked.
    case down(String)
    /// A node cannot be asked, and others can.
    case nodeDown(String, reason: String)
    case refused(String)
  }

  package let loop: EventLoop
  package let requestTimeoutMs: Int64
  package let keyspace: Keyspace
  private let setup: RedisSetup
  private let keys: StoreKeys
  private let report: (ConnectionEvent) -> Void
  private lazy var connections = Nodes(loop, setup, keys, batchMax: 1, owner: self)
  private var hasServed = false
  private var firstServes: LoopTimer?
  /// Called when there are other nodes, or they have other partitions.
  package var nodesChanged: () -> Void = {}

  package init(
    _ loop: EventLoop, _ setup: RedisSetup, _ report: @escaping (ConnectionEvent) -> Void
  ) {
    self.loop = loop
    self.setup = setup
    requestTimeoutMs = setup.requestTimeoutMs
    keyspace = setup.keyspace
    keys = StoreKeys(setup.keyspace)
    self.report = report
    connections.changed = { [unowned self] in nodesChanged() }
    firstServes = LoopTimer(loop) { [unowned self] in serves() }
    loop.atTurnEnd { [weak self] in self?.connections.flush() }
  }

  /// Whether some node can be asked.
  package var isReady: Bool { connections.isAnyReady }
  package var isCluster: Bool { connections.isCluster }

  /// The nodes that have partitions.
  package var nodes: [ControlNode] {
    guard isCluster else {
      return [ControlNode(name: "", endpoint: setup.endpoint, home: Partition.all[0])]
    }
    return connections.all.compactMap { node in
      guard let address = node.address, let home = connections.partitions(of: node).first else {
        return nil
      }
      return ControlNode(
        name: node.name, endpoint: setup.endpoint.server(address), home: home)
    }
  }

  /// The state of each node that has partitions, for people: why it is away, if it is.
  package var nodeReports: [(name: String, partitions: Int, awayReason: String?)] {
    connections.all.map { node in
      (
        name: isCluster ? node.name : setup.endpoint.publicText,
        partitions: connections.partitions(of: node).count,
        awayReason: node.isReady ? nil : node.awayReason
      )
    }
  }

  /// The name of the node that has a partition.
  package func nodeName(of partition: Partition) -> String {
    connections.node(of: partition).name
  }

  /// The settings of a further connection to a node.
  package func setup(for node: ControlNode) -> RedisSetup {
    var setup = setup
    setup.endpoint = node.endpoint
    if isCluster { setup.isCluster = true }
    return setup
  }

  private func redis(of node: ControlNode) -> RedisConnection? {
    connections.node(of: node.home).redis
  }

  /// The library of functions in use at a node, and the prefix of the names of all of the
  /// namespace; nil where scripts are called by their hashes.
  package func library(at node: ControlNode) -> (name: String, prefix: String)? {
    redis(of: node)?.library
  }

  /// Why scripts are not called as functions though they might be.
  package var scriptRemark: String? {
    connections.all.lazy.compactMap { $0.redis?.scriptRemark }.first
  }

  package func start() { connections.start() }
  package func stop() {
    firstServes?.cancel()
    connections.stop()
  }

  private func serves() {
    firstServes?.cancel()
    hasServed = true
    report(.up)
  }
}

// MARK: Calls

extension ControlStore {
  /// Calls a script; the handler is called exactly once, at once if Redis is away.
  package func call(_ query: ScriptQuery, _ handler: @escaping RedisConnection.Handler) {
    connections.ask(query, keys: keys, timeoutMs: requestTimeoutMs, handler)
  }

  /// Calls a script at each node for those of the query's partitions that it has.
  ///
  /// `handler` gets the partitions of each, and `done` follows when all have answered.
  package func callEach(
    _ query: ScriptQuery,
    _ handler: @escaping ([Partition], Result<RedisReply, RedisFailure>) -> Void,
    _ done: @escaping () -> Void
  ) {
    let groups = connections.groups(query.partitions, Array(query.partitions.indices))
    var left = groups.count
    let untilMs = loop.nowMs + requestTimeoutMs
    for places in groups {
      let part = query.part(places)
      connections.ask(part: part, keys, untilMs: untilMs) { result in
        handler(part.partitions, result)
        left -= 1
        if left == 0 { done() }
      }
    }
  }

  /// Calls a script that keeps a node's list of workers.
  ///
  /// With `canary` it also gets the key whose expiry shows that notifications come, and that of the
  /// libraries of functions in use.
  package func callWorkers<Request: ScriptCall>(
    _ request: Request, at node: ControlNode, canary: String? = nil,
    _ handler: @escaping RedisConnection.Handler
  ) {
    let more = canary.map {
      [keyspace.canary($0, at: node.home), keyspace.libraries(at: node.home)]
    }
    call(request, at: node, [keyspace.workers(at: node.home)] + (more ?? []), handler)
  }

  /// Calls a script that looks at a node's list of libraries of functions.
  package func callLibraries<Request: ScriptCall>(
    _ request: Request, at node: ControlNode, _ handler: @escaping RedisConnection.Handler
  ) {
    call(request, at: node, [keyspace.libraries(at: node.home)], handler)
  }

  /// Leaves the fleet's figures for the other workers, who have them for so long.
  package func shareFigures(_ text: String, keepMs: Int64) {
    command(["SET", keyspace.figuresKey, text, "PX", "\(keepMs)"], at: Keyspace.figures) { _ in }
  }

  /// The figures that another worker has left; nil if there are none, or they cannot be read.
  package func sharedFigures(_ done: @escaping (String?) -> Void) {
    command(["GET", keyspace.figuresKey], at: Keyspace.figures) { result in
      guard case .success(let reply) = result, reply.kind == .text else { return done(nil) }
      done(reply.text)
    }
  }

  /// The fleet's key of tickets: the one that Redis has, or else this one, which is made once for
  /// all workers; nil if Redis does not say.
  package func ticketKey(orElse made: String, _ done: @escaping (String?) -> Void) {
    once(keyspace.ticketKey, orElse: made, done)
  }

  /// The fleet's id, in the same way.
  package func fleetID(orElse made: String, _ done: @escaping (String?) -> Void) {
    once(keyspace.fleetKey, orElse: made, done)
  }

  /// What a key has that is written once for all workers; nil if Redis does not say.
  private func once(_ key: String, orElse made: String, _ done: @escaping (String?) -> Void) {
    command(["GET", key], at: Keyspace.figures) { [self] result in
      guard case .success(let reply) = result else { return done(nil) }
      guard reply.kind == .null else { return done(reply.kind == .text ? reply.text : nil) }
      command(["SET", key, made, "NX"], at: Keyspace.figures) { [self] _ in
        command(["GET", key], at: Keyspace.figures) { result in
          guard case .success(let reply) = result, reply.kind == .text else { return done(nil) }
          done(reply.text)
        }
      }
    }
  }

  private func call<Request: ScriptCall>(
    _ request: Request, at node: ControlNode, _ keys: [String],
    _ handler: @escaping RedisConnection.Handler
  ) {
    guard let redis = redis(of: node) else {
      return handler(.failure(.notSent("no node has the slot")))
    }
    var words = CommandBuffer()
    request.write(to: &words)
    redis.call(
      Request.script, timeoutMs: requestTimeoutMs, keys: keys, arguments: words, handler)
  }

  /// Sends a plain command to a node.
  package func command(
    _ words: [String], at node: ControlNode, _ handler: @escaping RedisConnection.Handler
  ) {
    command(words, at: node.home, handler)
  }

  /// Sends a plain command to the node that has a partition.
  private func command(
    _ words: [String], at partition: Partition, _ handler: @escaping RedisConnection.Handler
  ) {
    guard let redis = connections.node(of: partition).redis else {
      return handler(.failure(.notSent("no node has the slot")))
    }
    redis.call(
      timeoutMs: requestTimeoutMs,
      { out in
        out.begin(words: words.count)
        for word in words { out.word(word) }
      }, handler)
  }
}

// MARK: Nodes

extension ControlStore: StoreNodeOwner {
  func asksLittle(_ client: UInt64) -> Bool { true }
  private static let firstServesMs: Int64 = 1_000

  var figures: Counters? { nil }
  var opensValues: Bool { false }

  func nodeServes(_ node: StoreNode) {
    connections.served()
    // At the start those that come later are waited for, if not for long.
    guard hasServed || connections.areAllReady else {
      if firstServes?.isSet != true { firstServes?.set(afterMs: ControlStore.firstServesMs) }
      return
    }
    serves()
  }

  func nodeFailed(_ node: StoreNode, reason: String, hadServed: Bool) {
    connections.nodesMayHaveChanged()
    guard isReady else { return report(.down(reason)) }
    if hadServed { report(.nodeDown(node.name, reason: reason)) }
  }

  func nodeRefused(_ node: StoreNode, reason: String) { report(.refused(reason)) }
  func nodeRetired(_ node: StoreNode) {}
  func reading(from node: StoreNode, _ body: () -> Void) { body() }
  func answered(_ batch: Batch, _ reply: RedisReply, from node: StoreNode) -> Int { 0 }
  func refusal(of batch: Batch, _ message: String) -> RequestError {
    RequestError(.internal, message)
  }
  func error(for failure: RedisFailure, _ batch: Batch) -> RequestError {
    RequestError(.unavailable, "\(failure)")
  }
  func failed(
    _ batch: Batch, _ steps: [(ScriptOutcome) -> Void], _ error: RequestError, mayBeDone: Bool
  ) {}
  func slotMoves(_ partition: Int) {}
  func resend(
    _ request: Batch.Request, _ script: Script, _ step: ((ScriptOutcome) -> Void)?,
    _ origin: ParkedCalls.Origin
  ) {}
}
