// Owns: the worker's subscription to changes: the connections on which they come, one to each node,
// the channels of what its loops watch or wait for, and the registrations that let scripts publish
// them. A change is published once and kept nowhere; where some may be lost, the loops learn it. A
// node that is lost, or slots that move, count as a loss of all: they are rare. Main thread.

package import Loop
internal import Metrics
package import RedisConnection
internal import Scripts
package import Seal
internal import SessionModel
package import Store

/// The subscription of a worker to changes.
package final class ChangeSubscription: RedisConnectionOwner {
  private let loop: EventLoop
  private let keyspace: Keyspace
  private let control: ControlStore
  private let log: Log
  private let seal: Seal?
  private let send: (Int, ChangeNotice) -> Void
  /// The connection to each node, by its name.
  private var connections: [String: RedisConnection] = [:]
  /// Connections that were given up, until they are out of their own calls.
  private var left: [RedisConnection] = []
  /// The node of each partition, as the channels were subscribed to.
  private var nodeOf: [String] = []
  /// The channels of sources that Redis has not confirmed yet.
  private var unconfirmed: [ChangeSource: Set<String>] = [:]
  private var isConnected = false
  private var check: LoopTimer?
  private var sources = WatchedSources()
  /// The source of each channel; for one with many, that it is known by the last.
  private var byChannel: [String: ChangeSource] = [:]
  /// What has come within this turn, for each loop.
  private var received: [Int: [(source: ChangeSource, change: DeviceChange)]] = [:]
  private var receivedAtMs: [ObjectIdentifier: Int64] = [:]
  /// When a mark was published that has not come yet.
  private var markedAtMs: Int64?

  /// After so long without a message, or without a mark, the connection is considered dead.
  private static let silenceMs: Int64 = 3_000
  private static let checkMs: Int64 = 1_000

  /// `send` passes a notice to the serving loop of that number.
  package init(
    _ loop: EventLoop, _ setup: RedisSetup, _ control: ControlStore, log: Log, seal: Seal?,
    send: @escaping (Int, ChangeNotice) -> Void
  ) {
    self.loop = loop
    keyspace = setup.keyspace
    self.control = control
    self.log = log
    self.seal = seal
    self.send = send
    check = LoopTimer(loop) { [unowned self] in timePassed() }
    loop.atTurnEnd { [weak self] in self?.turnEnded() }
  }

  package func stop() {
    check?.cancel()
    for redis in connections.values { redis.stop() }
  }

  package func request(_ request: ChangeRequest) {
    switch request {
    case .want(let source, let loop, let number):
      connect()
      perform(sources.wanted(source, loop: loop, number: number))
    case .release(let source, let loop):
      sources.released(source, loop: loop, nowMs: self.loop.nowMs)
    }
  }

  /// The control loop has a new connection, maybe to another server than this one's.
  package func serverMayHaveChanged() {
    guard !sources.isEmpty, !control.isCluster else { return }
    for redis in connections.values { redis.reconnect(reason: "another server may be there") }
  }

  /// There are other nodes, or they have other slots.
  package func nodesChanged() {
    guard isConnected, nodeOf != names else { return }
    // A cluster passes messages on to all nodes: two subscriptions would get each twice.
    for source in sources.sources {
      for name in connections.keys { post("UNSUBSCRIBE", source, name) }
    }
    follow()
    let now = loop.nowMs
    perform(sources.disconnected(nowMs: now))
    for (name, redis) in connections where redis.isReady { subscribeAll(name) }
  }

  private var names: [String] { Partition.all.map { control.nodeName(of: $0) } }

  /// The connections are made when they are needed for the first time.
  private func connect() {
    guard !isConnected else { return }
    isConnected = true
    follow()
  }

  /// Connects to the nodes that there are.
  private func follow() {
    nodeOf = names
    let nodes = control.nodes
    for name in connections.keys where !nodes.contains(where: { $0.name == name }) {
      guard let redis = connections.removeValue(forKey: name) else { continue }
      redis.stop()
      left.append(redis)
    }
    for node in nodes where connections[node.name] == nil {
      var plain = control.setup(for: node)
      plain.loadsScripts = false
      let redis = RedisConnection(loop, plain, owner: self)
      connections[node.name] = redis
      redis.pushReceived = { [unowned self, unowned redis] in received($0, redis) }
      redis.start()
    }
  }

  private func turnEnded() {
    left = []
    sendReceived()
    for redis in connections.values { redis.flush() }
  }

  /// Passes on what has come, many changes at once.
  private func sendReceived() {
    let changes = received
    received = [:]
    for (number, changes) in changes { send(number, .changes(changes)) }
  }

  // MARK: Actions

  private func perform(_ actions: [WatchedSources.Action]) {
    for action in actions {
      switch action {
      case .subscribe(let source): subscribe(source)
      case .unsubscribe(let source): unsubscribe(source)
      case .register(let sources): register(sources)
      case .answer(let source, let loop, let number, let comes):
        send(loop, .answer(source, number: number, comes: comes))
      case .lost(let source, let loop):
        sendReceived()
        send(loop, .lost(source))
      }
    }
  }

  private func subscribe(_ source: ChangeSource) {
    let channels = source.channels(keyspace)
    for channel in channels { byChannel[channel] = source }
    unconfirmed[source] = Set(channels)
    for (name, redis) in connections where redis.isReady { post("SUBSCRIBE", source, name) }
  }

  /// Subscribes to all that a node has, on a connection that serves.
  private func subscribeAll(_ name: String) {
    for source in sources.sources {
      let channels = source.channels(keyspace)
      for channel in channels { byChannel[channel] = source }
      if unconfirmed[source] == nil { unconfirmed[source] = Set(channels) }
      post("SUBSCRIBE", source, name)
    }
  }

  private func unsubscribe(_ source: ChangeSource) {
    for channel in source.channels(keyspace) { byChannel[channel] = nil }
    unconfirmed[source] = nil
    for name in connections.keys { post("UNSUBSCRIBE", source, name) }
  }

  /// Sends a node the command about the channels of a source that are published there.
  private func post(_ command: String, _ source: ChangeSource, _ name: String) {
    guard let redis = connections[name], redis.isReady else { return }
    let channels = zip(source.partitions, source.channels(keyspace))
      .filter { nodeOf[$0.0.index] == name }.map(\.1)
    guard !channels.isEmpty else { return }
    redis.post { out in
      out.begin(words: 1 + channels.count)
      out.word(command)
      for channel in channels { out.word(channel) }
    }
  }

  /// In a cluster by source: a node that is away is not to keep the others' from being registered.
  private func register(_ all: [ChangeSource]) {
    for registered in control.isCluster ? all.map({ [$0] }) : [all] { registerTogether(registered) }
  }

  private func registerTogether(_ registered: [ChangeSource]) {
    let requests = registered.flatMap { source in
      source.partitions.map {
        (
          partition: $0,
          call: WatchChangesCall(
            device: ArgumentText(source.member), lengthMs: WatchedSources.lengthMs)
        )
      }
    }
    markedAtMs = markedAtMs ?? loop.nowMs
    control.call(ScriptQuery(requests)) { [unowned self] result in
      let now = loop.nowMs
      guard case .success(let reply) = result, reply.kind == .array,
        reply.count == requests.count
      else {
        markedAtMs = nil
        for source in registered { perform(sources.refused(source, nowMs: now)) }
        return
      }
      var at = 0
      for source in registered {
        let words = (at..<at + source.partitions.count).map { reply[$0].text }
        at += words.count
        guard words.allSatisfy({ $0 == "OK" || $0 == "NEW" }) else {
          perform(sources.refused(source, nowMs: now))
          continue
        }
        perform(sources.registered(source, isNew: words.contains("NEW"), nowMs: now))
      }
    }
  }

  // MARK: Messages

  private func received(_ reply: RedisReply, _ redis: RedisConnection) {
    receivedAtMs[ObjectIdentifier(redis)] = loop.nowMs
    guard reply.kind != .error else {
      log.repeated(.warn, "redis refuses the subscription to changes", ["error": reply.text])
      return perform(sources.subscriptionRefused(nowMs: loop.nowMs))
    }
    guard reply.count == 3, let source = byChannel[reply[1].text] else { return }
    switch reply[0].text {
    case "subscribe":
      unconfirmed[source]?.remove(reply[1].text)
      guard unconfirmed[source]?.isEmpty == true else { return }
      unconfirmed[source] = nil
      perform(sources.subscribed(source))
    case "message": took(reply[2].bytes, source)
    default: break
    }
  }

  private func took(_ message: UnsafeBufferPointer<UInt8>, _ source: ChangeSource) {
    guard !message.elementsEqual(DeviceChange.mark) else {
      markedAtMs = nil
      return
    }
    guard let change = DeviceChange(message, seal) else { return }
    for number in sources.loops(of: source) {
      received[number, default: []].append((source, change))
    }
  }

  // MARK: Time

  private func timePassed() {
    check?.set(afterMs: ChangeSubscription.checkMs)
    let now = loop.nowMs
    for redis in connections.values where redis.isReady { checkSilence(of: redis, now) }
    // Redis may be another one than the scripts': the connection alone does not show it.
    if let markedAtMs, now - markedAtMs >= ChangeSubscription.silenceMs {
      self.markedAtMs = nil
      for redis in connections.values { redis.reconnect(reason: "published changes do not arrive") }
    }
    guard connections.values.contains(where: { $0.isReady }) else { return }
    perform(sources.timePassed(nowMs: now))
  }

  private func checkSilence(of redis: RedisConnection, _ now: Int64) {
    guard now - (receivedAtMs[ObjectIdentifier(redis)] ?? now) < ChangeSubscription.silenceMs else {
      return redis.reconnect(reason: "the subscription to changes does not answer")
    }
    redis.post { $0.command("PING") }
  }

  // MARK: Connection

  package func redisServes(_ redis: RedisConnection) {
    receivedAtMs[ObjectIdentifier(redis)] = loop.nowMs
    markedAtMs = nil
    if let name = name(of: redis) { subscribeAll(name) }
    check?.set(afterMs: ChangeSubscription.checkMs)
  }

  private func name(of redis: RedisConnection) -> String? {
    connections.first { $0.value === redis }?.key
  }

  package func redisFailed(_ redis: RedisConnection, reason: String) {
    guard let name = name(of: redis) else { return }
    // One that has not served since it was lost loses nothing more, but is not waited for.
    guard receivedAtMs.removeValue(forKey: ObjectIdentifier(redis)) != nil else {
      let now = loop.nowMs
      for source in sources.sources
      where source.partitions.contains(where: { nodeOf[$0.index] == name }) {
        perform(sources.refused(source, nowMs: now))
      }
      return
    }
    if connections.values.allSatisfy({ !$0.isReady }) { check?.cancel() }
    unconfirmed = [:]
    perform(sources.disconnected(nowMs: loop.nowMs))
    for (name, other) in connections where other.isReady { subscribeAll(name) }
  }

  package func redisRefused(_ redis: RedisConnection, reason: String) {
    log.repeated(.error, "redis cannot be subscribed to", ["error": reason])
  }

  package func batchAnswered(_ redis: RedisConnection, _ batch: Batch, _ reply: RedisReply) {}
  package func batchFailed(_ redis: RedisConnection, _ batch: Batch, _ failure: RedisFailure) {}
}

/// A request for watch_changes.lua.
struct WatchChangesCall: ScriptCall {
  static let script = Script.watchChanges
  let device: ArgumentText
  let lengthMs: Int64

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(lengthMs)
  }
}
