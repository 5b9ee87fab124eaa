// Owns: the nodes that a loop reaches, which of them has each partition, and the calls that wait
// for a slot that moves. One node has all partitions where Redis is a single server. Must not know
// what calls mean. Runs on its loop's thread.

internal import Loop
internal import RedisConnection
internal import Scripts
internal import SessionModel

/// The nodes of a loop.
final class Nodes {
  let loop: EventLoop
  let setup: RedisSetup
  private let batchMax: Int
  private let keys: StoreKeys
  private unowned let owner: any StoreNodeOwner
  /// All nodes that have partitions; there is one at least.
  private(set) var all: [StoreNode] = []
  /// The node of each partition.
  private var ofPartition: [StoreNode] = []
  /// The single server; of a cluster it stands for the node of slots that no node has had yet.
  private let nowhere: StoreNode
  /// Nodes without partitions, until what is under way there is answered.
  private var retired: [(node: StoreNode, untilMs: Int64)] = []
  private(set) var discovery: ClusterDiscovery?
  private var parked = ParkedCalls()
  /// The partitions whose slots move, and until when that is believed: their requests share no call
  /// with others', which would come back with them.
  private var moving: [Int: Int64] = [:]
  /// The partitions of which something was found to be elsewhere since the last tick.
  private var resting: Set<Int> = []
  private var tick: LoopTimer?
  /// Fires once partitions are open again.
  private var opening: LoopTimer?
  /// What holds partitions until nodes have answered.
  private var bars: [Bar] = []
  /// Called after each change of what nodes there are or what they have.
  var changed: () -> Void = {}

  /// A slot that has moved, or does so, is looked upon as moving for so long.
  private static let movingMs: Int64 = 1_000
  /// What is parked is sent again so often.
  private static let againMs: Int64 = 15
  /// So long the answers of a node are waited for that has no partition any more: what a master
  /// that hangs does after a failover is lost.
  private static let lastAnswersMs: Int64 = 100

  init(
    _ loop: EventLoop, _ setup: RedisSetup, _ keys: StoreKeys, batchMax: Int,
    owner: any StoreNodeOwner
  ) {
    self.loop = loop
    self.setup = setup
    (self.batchMax, self.keys) = (batchMax, keys)
    self.owner = owner
    var seeds: [Address] = []
    if case .cluster(let nodes) = setup.endpoint.topology { seeds = nodes }
    nowhere = StoreNode(owner, seeds.isEmpty ? setup : nil, batchMax: batchMax)
    all = [nowhere]
    ofPartition = Array(repeating: nowhere, count: Partition.count)
    tick = LoopTimer(loop) { [unowned self] in timePassed() }
    opening = LoopTimer(loop) { [unowned self] in resendParked() }
    guard !seeds.isEmpty else { return }
    discovery = ClusterDiscovery(loop, setup, seeds: seeds) { [unowned self] in mapped($0) }
  }

  func start() {
    discovery?.start()
    if discovery == nil { for node in all { node.start() } }
  }

  func stop() {
    tick?.cancel()
    opening?.cancel()
    discovery?.stop()
    for node in all { node.stop() }
    for (node, _) in retired { node.stop() }
  }

  func flush() {
    for node in all { node.flush() }
    for (node, _) in retired { node.flush() }
  }

  var isCluster: Bool { discovery != nil }

  /// The node of a partition.
  func node(of partition: Partition) -> StoreNode { ofPartition[partition.index] }
  func node(of partition: Int) -> StoreNode { ofPartition[partition] }

  /// Whether some node can be asked.
  var isAnyReady: Bool { all.contains { $0.isReady } }
  /// Whether each partition has a node that can be asked.
  var areAllReady: Bool { all.allSatisfy { $0.isReady } }

  /// The partitions whose node cannot be asked.
  var away: [Partition] {
    areAllReady ? [] : Partition.all.filter { !node(of: $0).isReady }
  }

  /// The partitions of each node, in the order of the nodes.
  func partitions(of node: StoreNode) -> [Partition] {
    Partition.all.filter { self.node(of: $0) === node }
  }

  /// The reason why the first node that is away is so.
  var reason: String {
    if let discovery, all.count == 1, all[0] === nowhere {
      return "\(discovery.reason); nothing was done"
    }
    return (all.first { !$0.isReady } ?? all[0]).reason
  }

  // MARK: Slots

  private func mapped(_ map: ClusterMap) {
    place(map.masters)
    nodesMayHaveChanged()
    endRests()
    resendParked()
  }

  /// Takes over the addresses of the partitions' nodes.
  ///
  /// A partition whose slot is left out stays where it was: nodes leave slots out for a moment
  /// while a replica takes over, and the node itself knows better whether it has the slot.
  private func place(_ masters: [Address?]) {
    let (before, placed) = (all, ofPartition)
    ofPartition = zip(masters, placed).map { address, now in
      guard let address else { return now }
      return all.first { $0.address == address } ?? make(address)
    }
    var kept: [StoreNode] = []
    for node in ofPartition where !kept.contains(where: { $0 === node }) { kept.append(node) }
    all = kept
    let gone = before.filter { node in
      node.address != nil && !kept.contains { $0 === node }
    }
    // What was sent to the nodes before goes first; what was to be, after that.
    let waiting = gone.flatMap { $0.takeWaiting() }
    let moved = Partition.all.filter { placed[$0.index] !== ofPartition[$0.index] }
    bar(moved, at: placed)
    for bar in bars where gone.contains(where: { $0 === bar.node }) {
      bar.untilMs = min(bar.untilMs, loop.nowMs + Nodes.lastAnswersMs)
    }
    waiting.forEach { $0() }
    for node in gone {
      retired.append((node, loop.nowMs + 2 * setup.requestTimeoutMs))
      owner.nodeRetired(node)
    }
    // Slots that have come from a node that is still there may come one by one.
    for partition in moved where kept.contains(where: { $0 === placed[partition.index] }) {
      moving[partition.index] = loop.nowMs + Nodes.movingMs
    }
    for node in all { chooseRoute(to: node) }
    if !retired.isEmpty { setTick() }
    if !moved.isEmpty { changed() }
  }

  /// Has batches find the node by a slot that does not move, if it has one.
  private func chooseRoute(to node: StoreNode) {
    if let now = node.route?.partition, self.node(of: now) === node, !isMoving(now) { return }
    let its = partitions(of: node)
    guard let partition = its.first(where: { !isMoving($0.index) }) ?? its.first else { return }
    node.route = (partition.index, keys.baseWords[partition.index])
  }

  private func make(_ address: Address) -> StoreNode {
    var setup = setup
    setup.endpoint = setup.endpoint.server(address)
    setup.isCluster = true
    let node = StoreNode(owner, setup, batchMax: batchMax, address: address)
    all.append(node)
    node.start()
    return node
  }

  /// A node has come or gone.
  func nodesMayHaveChanged() {
    discovery?.isUrgent = !areAllReady
  }

  /// A node serves: what waited for it can go.
  func served() {
    nodesMayHaveChanged()
    endRests()
    resendParked()
  }
}

// MARK: What waits for a slot

extension Nodes {
  /// Whether requests of the partition wait, so that a further one waits behind them.
  func isHeld(_ partition: Int) -> Bool { parked.holds(partition) }

  /// The slot of a partition was found to move: what is parked of it rests a moment.
  func slotMoves(_ partition: Int) {
    moving = moving.filter { $0.value > loop.nowMs }
    moving[partition] = loop.nowMs + Nodes.movingMs
    for node in all where node.route?.partition == partition { chooseRoute(to: node) }
    guard resting.insert(partition).inserted else { return }
    parked.bar([Partition(index: partition)])
    setTick()
  }

  private func endRests() {
    parked.unbar(resting.map { Partition(index: $0) })
    resting = []
  }

  /// Whether the slot of a partition was found to move within the last moment.
  func isMoving(_ partition: Int) -> Bool {
    !moving.isEmpty && moving[partition] ?? 0 > loop.nowMs
  }

  /// Keeps what was not done, to send it again.
  func park(_ entry: ParkedCalls.Entry, _ origin: ParkedCalls.Origin) {
    guard loop.nowMs < entry.untilMs else { return entry.fail() }
    if origin != .held {
      bar(entry.partitions.filter { !parked.hasEntry($0.index) }, at: ofPartition)
    }
    parked.append(entry, origin)
    discovery?.refresh()
    setTick()
  }

  /// What holds partitions until a node has answered.
  private final class Bar {
    let node: StoreNode
    let partitions: [Partition]
    /// How long at most; a node that has no partition any more may not answer.
    var untilMs = Int64.max
    var isLifted = false

    init(_ node: StoreNode, _ partitions: [Partition]) {
      (self.node, self.partitions) = (node, partitions)
    }
  }

  /// Holds what comes for partitions until these nodes have answered what was sent to them before:
  /// that goes first, though its slot may turn out to be elsewhere.
  private func bar(_ partitions: [Partition], at nodes: [StoreNode]) {
    bars.removeAll(where: \.isLifted)
    var left = partitions[...]
    while let node = left.first.map({ nodes[$0.index] }) {
      let bar = Bar(node, left.filter { nodes[$0.index] === node })
      left.removeAll { nodes[$0.index] === node }
      parked.bar(bar.partitions)
      if node.fence({ [unowned self] in lift(bar) }) { bars.append(bar) } else { lift(bar) }
    }
  }

  private func lift(_ bar: Bar) {
    guard !bar.isLifted else { return }
    bar.isLifted = true
    parked.unbar(bar.partitions)
    if !parked.isEmpty { opening?.set(afterMs: 0) }
  }

  /// A request of the partition was given to its node.
  ///
  /// While its slot moves, the next one waits until that is answered: the slot may arrive at the
  /// node between the two.
  func gave(_ partition: Int) {
    if isMoving(partition) { bar([Partition(index: partition)], at: ofPartition) }
  }

  /// It is not put off by what comes meanwhile.
  private func setTick() {
    guard tick?.isSet != true else { return }
    tick?.set(afterMs: Nodes.againMs)
  }

  private func resendParked() {
    for entry in parked.take(nowMs: loop.nowMs) {
      if loop.nowMs >= entry.untilMs {
        entry.fail()
      } else if entry.partitions.count == 1, isHeld(entry.partitions[0].index) {
        // One before it was given to a node just now.
        parked.append(entry, .held)
      } else {
        entry.resend()
      }
    }
  }

  private func timePassed() {
    endRests()
    for bar in bars where bar.untilMs <= loop.nowMs { lift(bar) }
    let over = retired.filter { $0.untilMs <= loop.nowMs }
    retired.removeAll { $0.untilMs <= loop.nowMs }
    for (node, _) in over { node.stop() }
    resendParked()
    if !parked.isEmpty || !retired.isEmpty { setTick() }
  }
}

// MARK: Calls

extension Nodes {
  typealias Done = (Result<RedisReply, RedisFailure>) -> Void

  /// Calls a script at the nodes that have its partitions; `done` gets one reply, exactly once.
  func ask(_ query: ScriptQuery, keys: StoreKeys, timeoutMs: Int64, _ done: @escaping Done) {
    let first = node(of: query.partitions[0])
    guard isCluster else { return send(query, keys, to: first, timeoutMs: timeoutMs, done) }
    let untilMs = loop.nowMs + timeoutMs
    if query.partitions.count == 1, query.script.argumentsPerRequest == 0 {
      return ask(part: query, keys, untilMs: untilMs, done)
    }
    let parts = PartsCall(self, query, keys, untilMs: untilMs, done)
    parts.begin()
  }

  /// Calls a script whose partitions one node has: about one partition again while its slot moves.
  func ask(part query: ScriptQuery, _ keys: StoreKeys, untilMs: Int64, _ done: @escaping Done) {
    let partition = query.partitions[0]
    let node = node(of: partition)
    let park = { [unowned self] (origin: ParkedCalls.Origin, failure: RedisFailure) in
      let entry = ParkedCalls.Entry(
        partitions: query.partitions, untilMs: untilMs - setup.requestTimeoutMs / 5,
        resend: { [unowned self] in
          // What waited before it goes before it.
          self.node(of: partition).sendWaiting()
          ask(part: query, keys, untilMs: untilMs, done)
        },
        fail: { done(.failure(failure)) })
      self.park(entry, origin)
    }
    guard node.isReady || !node.isArriving(nowMs: loop.nowMs) else {
      return park(.held, .notSent(node.awayReason))
    }
    let isOfOne = query.partitions.count == 1
    guard !isOfOne || !isHeld(partition.index) else { return park(.held, Nodes.isBehind) }
    send(query, keys, to: node, timeoutMs: max(1, untilMs - loop.nowMs)) {
      [unowned self] result in
      if case .failure(.overtaken) = result, isOfOne { return park(.takenBack, Nodes.isBehind) }
      guard case .success(let reply) = result, reply.kind == .error,
        case .elsewhere(let word) = StoreError(reply.text)
      else {
        let behind = takeBack(behind: result, query, at: node)
        done(result)
        return behind.forEach { $0() }
      }
      // Without a name it is the one that the call declares.
      let moved = keys.partition(in: reply.text)?.index ?? partition.index
      let behind = node.takeBack(behind: Set(query.partitions.map(\.index)))
      slotMoves(moved)
      if isOfOne {
        park(.returned, .notSent("its slot has no node at the moment (\(word))"))
      } else {
        done(result)
      }
      behind.forEach { $0() }
    }
    for partition in query.partitions { gave(partition.index) }
  }

  /// Takes back what was to be sent behind those of a call's partitions that are elsewhere.
  private func takeBack(
    behind result: Result<RedisReply, RedisFailure>, _ query: ScriptQuery, at node: StoreNode
  ) -> [() -> Void] {
    guard isCluster, query.script.argumentsPerRequest > 0, case .success(let reply) = result,
      reply.kind == .array, reply.count == query.partitions.count
    else { return [] }
    let moved = zip(query.partitions, reply.elements).filter { $0.1.isElsewhere }
    return moved.isEmpty ? [] : node.takeBack(behind: Set(moved.map(\.0.index)))
  }

  private static let isBehind = RedisFailure.notSent("earlier requests wait for its slot")

  private func send(
    _ query: ScriptQuery, _ keys: StoreKeys, to node: StoreNode, timeoutMs: Int64,
    _ done: @escaping Done
  ) {
    guard let redis = node.redis, redis.isReady else {
      return done(.failure(.notSent(node.awayReason)))
    }
    redis.call(
      query.script, timeoutMs: timeoutMs, keys: query.partitions.map { keys.base($0) },
      arguments: query.arguments
    ) { [unowned self] result in owner.reading(from: node) { done(result) } }
  }

  /// The partitions' places in a query, by the node that has them.
  ///
  /// By partition where a call may have keys of one slot only, and where the slot moves. Nodes that
  /// are away come last.
  func groups(_ partitions: [Partition], _ places: [Int]) -> [[Int]] {
    var groups: [(node: StoreNode, partition: Partition, places: [Int])] = []
    for place in places {
      let partition = partitions[place]
      let node = node(of: partition)
      let isAlone = node.redis?.spansSlots == false || isMoving(partition.index)
      let at = groups.firstIndex {
        $0.node === node && (isAlone ? $0.partition == partition : !isMoving($0.partition.index))
      }
      if let at {
        groups[at].places.append(place)
      } else {
        groups.append((node, partition, [place]))
      }
    }
    return groups.filter { $0.node.isReady }.map(\.places)
      + groups.filter { !$0.node.isReady }.map(\.places)
  }
}
