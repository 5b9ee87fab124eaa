// Owns: how a loop learns which node of a cluster has which slots: a connection to any node that
// answers, what it is asked and when. Runs on its loop's thread.

internal import Loop
internal import RedisConnection

/// Asks the nodes of a cluster for its slots, and again when they may have changed.
final class ClusterDiscovery: RedisConnectionOwner {
  private let loop: EventLoop
  private let setup: RedisSetup
  private let mapped: (ClusterMap) -> Void
  private var redis: RedisConnection?
  /// A connection that is given up, until it is out of its own calls.
  private var leaving: RedisConnection?
  /// The addresses to ask, in turn: those of the URL, then all nodes that were ever named.
  private var known: [Address]
  private let seeds: [Address]
  private var turn = 0
  private var asking = false
  private var askedAtMs = Int64.min / 2
  /// How many answers in a row have left a partition without a node that answers.
  private var misses = 0
  /// Whether the latest answer has left slots out.
  private var leavesOut = false
  /// How many nodes in a row could not be connected to.
  private var failures = 0
  private var next: LoopTimer?
  /// Why no node has answered yet.
  private(set) var reason = "no node of the cluster has answered yet"

  /// Whether partitions are without a node that can be asked: slots are asked for often then.
  var isUrgent = false {
    didSet { if isUrgent, !oldValue { refresh() } }
  }

  private static let everyMs: Int64 = 2_000
  private static let urgentMs: Int64 = 100
  /// Two questions have so much time between them at least.
  private static let apartMs: Int64 = 15
  private static let timeoutMs: Int64 = 500
  private static let missesMax = 5

  init(
    _ loop: EventLoop, _ setup: RedisSetup, seeds: [Address], mapped: @escaping (ClusterMap) -> Void
  ) {
    self.loop = loop
    self.mapped = mapped
    self.seeds = seeds
    known = seeds
    var plain = setup
    plain.loadsScripts = false
    plain.takesAnyServer = true
    plain.connectTimeoutMs = ClusterDiscovery.timeoutMs
    self.setup = plain
    next = LoopTimer(loop) { [unowned self] in ask() }
  }

  func start() { connect() }

  func stop() {
    next?.cancel()
    redis?.stop()
  }

  func flush() { redis?.flush() }

  /// The slots may have moved: asks as soon as it may.
  func refresh() {
    guard !asking else { return }
    next?.set(afterMs: max(0, askedAtMs + ClusterDiscovery.apartMs - loop.nowMs))
  }

  private func ask() {
    leaving = nil
    guard let redis, redis.isReady else {
      if redis == nil { connect() }
      return
    }
    guard !asking else { return }
    asking = true
    askedAtMs = loop.nowMs
    let address = known[turn]
    redis.call(
      timeoutMs: ClusterDiscovery.timeoutMs, { $0.command("CLUSTER", "SLOTS") },
      { [unowned self] result in
        asking = false
        answered(result, by: address)
      })
    redis.flush()
  }

  private func answered(_ result: Result<RedisReply, RedisFailure>, by address: Address) {
    guard case .success(let reply) = result else { return }
    guard let map = ClusterMap(reply, asked: address), !map.shards.isEmpty else {
      reason = "\(address) does not say which slots there are: \(reply.text)"
      return goOn()
    }
    for address in map.addresses where !known.contains(address) { known.append(address) }
    forgetOld(map)
    mapped(map)
    let leftOut = leavesOut
    leavesOut = map.masters.contains(nil)
    let isSoon = isUrgent || leavesOut
    next?.set(
      afterMs: isSoon
        ? ClusterDiscovery.urgentMs
        : Int64.random(in: ClusterDiscovery.everyMs / 2...ClusterDiscovery.everyMs))
    // A node that is cut off from the others goes on saying what it knew; and one that hears of a
    // deposed master before it hears of the new one leaves their slots out, when others know.
    misses = isSoon ? misses + 1 : 0
    if misses >= ClusterDiscovery.missesMax || leavesOut && !leftOut { goOn() }
  }

  /// Nodes that a cluster has no more are not asked for ever.
  private func forgetOld(_ map: ClusterMap) {
    guard known.count > 2 * (map.addresses.count + seeds.count) else { return }
    let current = known[turn]
    known = ([current] + seeds + map.addresses).reduce(into: []) { list, address in
      if !list.contains(address) { list.append(address) }
    }
    turn = 0
  }

  /// Asks the next node.
  private func goOn() {
    misses = 0
    turn = (turn + 1) % known.count
    redis?.stop()
    (leaving, redis) = (redis, nil)
    asking = false
    let isRound = failures >= known.count
    next?.set(afterMs: isRound ? ClusterDiscovery.urgentMs : ClusterDiscovery.apartMs)
  }

  private func connect() {
    var setup = setup
    setup.endpoint = setup.endpoint.server(known[turn])
    redis = RedisConnection(loop, setup, owner: self)
    redis?.start()
  }

  func redisServes(_ redis: RedisConnection) {
    failures = 0
    refresh()
  }

  func redisFailed(_ redis: RedisConnection, reason: String) {
    guard redis === self.redis else { return }
    failures += 1
    self.reason = "\(known[turn]): \(reason)"
    goOn()
  }

  func redisRefused(_ redis: RedisConnection, reason: String) {
    redisFailed(redis, reason: reason)
  }

  func batchAnswered(_ redis: RedisConnection, _ batch: Batch, _ reply: RedisReply) {}
  func batchFailed(_ redis: RedisConnection, _ batch: Batch, _ failure: RedisFailure) {}
}
