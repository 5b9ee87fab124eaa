// Owns: the subscription to Redis' expiry notifications, and whether they come. A notification is a
// hint and never a fact: any client can publish one. Main thread.

internal import Loop
internal import Metrics
internal import RedisConnection
internal import SessionModel

/// Subscribes to the expiry of the keys of one node.
final class ExpirySubscription: RedisConnectionOwner {
  private let loop: EventLoop
  private let keyspace: Keyspace
  private let context: DeadlineContext
  private let expired: (Partition) -> Void
  private let informed: (String) -> Void
  private let channel: String
  private let resumed: () -> Void
  private let lived: () -> Void
  /// Whether notifications come.
  private(set) var isLive = false {
    didSet { if isLive != oldValue { lived() } }
  }
  private var redis: RedisConnection?
  private var check: LoopTimer?
  private var receivedAnythingAtMs: Int64 = 0
  private var receivedCanaryAtMs: Int64?
  private var subscribedAtMs: Int64 = 0
  private var hasWarned = false

  /// After so long without a message, the connection is considered dead.
  private let silenceMs: Int64 = 3_000

  /// `expired` gets the partition of each expired lock or session of this namespace; `resumed` is
  /// called when notifications may have been missed and come again now; `informed` gets what
  /// scripts publish for this worker, and `lived` is called when `isLive` has changed.
  init(
    _ loop: EventLoop, _ setup: RedisSetup, _ context: DeadlineContext,
    expired: @escaping (Partition) -> Void, informed: @escaping (String) -> Void,
    resumed: @escaping () -> Void, lived: @escaping () -> Void
  ) {
    self.loop = loop
    self.context = context
    self.expired = expired
    self.informed = informed
    channel = setup.keyspace.channel(toWorker: context.workerID)
    self.resumed = resumed
    self.lived = lived
    keyspace = setup.keyspace
    var plain = setup
    plain.loadsScripts = false
    redis = RedisConnection(loop, plain, owner: self)
    redis?.pushReceived = { [unowned self] in received($0) }
    check = LoopTimer(loop) { [unowned self] in checkSilence() }
    loop.atTurnEnd { [weak self] in self?.redis?.flush() }
    redis?.start()
  }

  func stop() {
    check?.cancel()
    redis?.stop()
  }

  func redisServes(_ redis: RedisConnection) {
    redis.post { $0.command("SUBSCRIBE", channel) }
    let expiries = "__keyevent@\(redis.endpoint.database)__:expired"
    redis.post { $0.command("SUBSCRIBE", expiries) }
    subscribedAtMs = loop.nowMs
    receivedAnythingAtMs = loop.nowMs
    receivedCanaryAtMs = nil
    check?.set(afterMs: 1_000)
    resumed()
  }

  /// The control loop has a new connection, maybe to another server than this one's.
  func serverMayHaveChanged() {
    if !isLive {
      redis?.reconnect(reason: "another server may be there")
    }
  }

  private func received(_ reply: RedisReply) {
    receivedAnythingAtMs = loop.nowMs
    if reply.kind == .error {
      context.log.repeated(.warn, "redis refuses the subscription", ["error": reply.text])
      return
    }
    guard reply.count == 3, reply[0].text == "message" else { return }
    guard reply[1].text != channel else { return informed(reply[2].text) }
    let key = reply[2].text
    if keyspace.isCanary(key, of: context.workerID) {
      receivedCanary()
    } else if let partition = keyspace.partition(ofKey: key), keyspace.hasDeadline(key) {
      context.figures.addNotification()
      expired(partition)
    }
  }

  private func receivedCanary() {
    receivedCanaryAtMs = loop.nowMs
    if !isLive {
      isLive = true
      if hasWarned { context.log.repeated(.info, "keyspace notifications come again") }
      hasWarned = false
    }
  }

  /// Notifications that are off look as if nothing expired; the canary distinguishes the two.
  private func checkSilence() {
    check?.set(afterMs: 1_000)
    let now = loop.nowMs
    guard now - receivedAnythingAtMs < silenceMs else {
      redis?.reconnect(reason: "the subscription does not answer")
      return
    }
    redis?.post { $0.command("PING") }
    guard now - (receivedCanaryAtMs ?? subscribedAtMs) >= silenceMs else { return }
    isLive = false
    if !hasWarned {
      hasWarned = true
      context.log.repeated(
        .warn, "keyspace notifications do not come; deadlines are met without them",
        ["fix": "CONFIG SET notify-keyspace-events Ex, or start with --configure-redis"])
    }
    // They came and do not come any more: the server may be a replica by now, which announces no
    // expiry. Only a new connection can ask.
    if receivedCanaryAtMs != nil {
      redis?.reconnect(reason: "notifications do not come any more")
    }
  }

  func redisFailed(_ redis: RedisConnection, reason: String) {
    check?.cancel()
    isLive = false
  }

  func redisRefused(_ redis: RedisConnection, reason: String) {
    context.log.repeated(.error, "redis cannot be subscribed to", ["error": reason])
  }

  func batchAnswered(_ redis: RedisConnection, _ batch: Batch, _ reply: RedisReply) {}
  func batchFailed(_ redis: RedisConnection, _ batch: Batch, _ failure: RedisFailure) {}
}
