// Owns: the worker's subscription to changes: the connection on which they come, the channels of
// what its loops watch or wait for, and the registrations that let scripts publish them. A change
// is published once and kept nowhere; where some may be lost, the loops learn it. Main thread.

package import Loop
internal import Metrics
package import RedisConnection
internal import Scripts
internal import SessionModel
package import Store

/// The subscription of a worker to changes.
package final class ChangeSubscription: RedisConnectionOwner {
  private let loop: EventLoop
  private let setup: RedisSetup
  private let control: ControlStore
  private let log: Log
  private let send: (Int, ChangeNotice) -> Void
  private var redis: RedisConnection?
  private var check: LoopTimer?
  private var sources = WatchedSources()
  /// The source of each channel; for one with many, that it is known by the last.
  private var byChannel: [String: ChangeSource] = [:]
  /// What has come within this turn, for each loop.
  private var received: [Int: [(source: ChangeSource, change: DeviceChange)]] = [:]
  private var heardAtMs: Int64 = 0
  /// When a mark was published that has not come yet.
  private var markedAtMs: Int64?

  /// After so long without a message, or without a mark, the connection is considered dead.
  private static let silenceMs: Int64 = 3_000
  private static let checkMs: Int64 = 1_000

  /// `send` passes a notice to the serving loop of that number.
  package init(
    _ loop: EventLoop, _ setup: RedisSetup, _ control: ControlStore, log: Log,
    send: @escaping (Int, ChangeNotice) -> Void
  ) {
    self.loop = loop
    var plain = setup
    plain.loadsScripts = false
    self.setup = plain
    self.control = control
    self.log = log
    self.send = send
    check = LoopTimer(loop) { [unowned self] in timePassed() }
    loop.atTurnEnd { [weak self] in self?.turnEnded() }
  }

  package func stop() {
    check?.cancel()
    redis?.stop()
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
    guard !sources.isEmpty else { return }
    redis?.reconnect(reason: "another server may be there")
  }

  /// The connection is made when it is needed for the first time.
  private func connect() {
    guard redis == nil else { return }
    redis = RedisConnection(loop, setup, owner: self)
    redis?.pushReceived = { [unowned self] in received($0) }
    redis?.start()
  }

  private func turnEnded() {
    sendReceived()
    redis?.flush()
  }

  /// Passes on what has come, many changes at once.
  private func sendReceived() {
    let news = received
    received = [:]
    for (number, changes) in news { send(number, .changes(changes)) }
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
    let channels = source.channels(setup.keyspace)
    for channel in channels { byChannel[channel] = source }
    guard let redis, redis.isReady else { return }
    redis.post { out in
      out.begin(words: 1 + channels.count)
      out.word("SUBSCRIBE")
      for channel in channels { out.word(channel) }
    }
  }

  private func unsubscribe(_ source: ChangeSource) {
    let channels = source.channels(setup.keyspace)
    for channel in channels { byChannel[channel] = nil }
    guard let redis, redis.isReady else { return }
    redis.post { out in
      out.begin(words: 1 + channels.count)
      out.word("UNSUBSCRIBE")
      for channel in channels { out.word(channel) }
    }
  }

  private func register(_ registered: [ChangeSource]) {
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

  private func received(_ reply: RedisReply) {
    heardAtMs = loop.nowMs
    guard reply.kind != .error else {
      log.repeated(.warn, "redis refuses the subscription to changes", ["error": reply.text])
      return perform(sources.subscriptionRefused(nowMs: loop.nowMs))
    }
    guard reply.count == 3, let source = byChannel[reply[1].text] else { return }
    switch reply[0].text {
    case "subscribe":
      let isLast = source.channels(setup.keyspace).last == reply[1].text
      if isLast { perform(sources.subscribed(source)) }
    case "message": took(reply[2].bytes, source)
    default: break
    }
  }

  private func took(_ message: UnsafeBufferPointer<UInt8>, _ source: ChangeSource) {
    guard !message.elementsEqual(DeviceChange.mark) else {
      markedAtMs = nil
      return
    }
    guard let change = DeviceChange(message) else { return }
    for number in sources.loops(of: source) {
      received[number, default: []].append((source, change))
    }
  }

  // MARK: Time

  private func timePassed() {
    check?.set(afterMs: ChangeSubscription.checkMs)
    let now = loop.nowMs
    guard let redis, redis.isReady else { return }
    guard now - heardAtMs < ChangeSubscription.silenceMs else {
      return redis.reconnect(reason: "the subscription to changes does not answer")
    }
    // Redis may be another one than the scripts': the connection alone does not show it.
    if let markedAtMs, now - markedAtMs >= ChangeSubscription.silenceMs {
      return redis.reconnect(reason: "published changes do not arrive")
    }
    redis.post { $0.command("PING") }
    perform(sources.timePassed(nowMs: now))
  }

  // MARK: Connection

  package func redisServes(_ redis: RedisConnection) {
    heardAtMs = loop.nowMs
    markedAtMs = nil
    for source in sources.sources { subscribe(source) }
    check?.set(afterMs: ChangeSubscription.checkMs)
  }

  package func redisFailed(_ redis: RedisConnection, reason: String) {
    check?.cancel()
    perform(sources.disconnected(nowMs: loop.nowMs))
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
