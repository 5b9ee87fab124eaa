// Owns: the subscription to Redis' expiry notifications, and whether they come. A notification is a
// hint and never a fact: any client can publish one. Main thread.

package import Loop
internal import Metrics
package import RedisConnection
package import SessionModel

/// Subscribes to the expiry of keys.
package final class ExpirySubscription: RedisConnectionOwner {
  private let loop: EventLoop
  private let keyspace: Keyspace
  private let context: DeadlineContext
  private let canary: String
  private let expired: (Partition) -> Void
  private let informed: (String) -> Void
  private let channel: String
  private let resumed: () -> Void
  private var redis: RedisConnection?
  private var check: LoopTimer?
  private var heardAnythingAtMs: Int64 = 0
  private var heardCanaryAtMs: Int64?
  private var subscribedAtMs: Int64 = 0
  private var hasWarned = false

  /// After so long without a message, the connection is considered dead.
  private let silenceMs: Int64 = 3_000

  /// `expired` gets the partition of each expired lock or session of this namespace; `resumed` is
  /// called when notifications may have been missed and come again now; `informed` gets what
  /// scripts publish for this worker.
  package init(
    _ loop: EventLoop, _ setup: RedisSetup, _ context: DeadlineContext,
    expired: @escaping (Partition) -> Void, informed: @escaping (String) -> Void,
    resumed: @escaping () -> Void
  ) {
    self.loop = loop
    self.context = context
    self.expired = expired
    self.informed = informed
    channel = setup.keyspace.channel(toWorker: context.workerID)
    self.resumed = resumed
    keyspace = setup.keyspace
    canary = setup.keyspace.canary(context.workerID)
    var plain = setup
    plain.loadsScripts = false
    redis = RedisConnection(loop, plain, owner: self)
    redis?.pushReceived = { [unowned self] in received($0) }
    check = LoopTimer(loop) { [unowned self] in checkSilence() }
    loop.atTurnEnd { [weak self] in self?.redis?.flush() }
    redis?.start()
  }

  package func stop() {
    check?.cancel()
    redis?.stop()
  }

  package func redisServes(_ redis: RedisConnection) {
    redis.post { $0.command("SUBSCRIBE", channel) }
    let expiries = "__keyevent@\(redis.endpoint.database)__:expired"
    redis.post { $0.command("SUBSCRIBE", expiries) }
    subscribedAtMs = loop.nowMs
    heardAnythingAtMs = loop.nowMs
    heardCanaryAtMs = nil
    check?.set(afterMs: 1_000)
    resumed()
  }

  /// The control loop has a new connection, maybe to another server than this one's.
  package func serverMayHaveChanged() {
    if !context.figures.notificationsLive {
      redis?.reconnect(reason: "another server may be there")
    }
  }

  private func received(_ reply: RedisReply) {
    heardAnythingAtMs = loop.nowMs
    if reply.kind == .error {
      context.log.repeated(.warn, "redis refuses the subscription", ["error": reply.text])
      return
    }
    guard reply.count == 3, reply[0].text == "message" else { return }
    guard reply[1].text != channel else { return informed(reply[2].text) }
    let key = reply[2].text
    if key == canary {
      heardCanary()
    } else if let partition = keyspace.partition(ofKey: key), keyspace.hasDeadline(key) {
      context.figures.addNotification()
      expired(partition)
    }
  }

  private func heardCanary() {
    heardCanaryAtMs = loop.nowMs
    if !context.figures.notificationsLive {
      context.figures.setNotificationsLive(true)
      if hasWarned { context.log.repeated(.info, "keyspace notifications come again") }
      hasWarned = false
    }
  }

  /// Notifications that are off look as if nothing expired; the canary distinguishes the two.
  private func checkSilence() {
    check?.set(afterMs: 1_000)
    let now = loop.nowMs
    guard now - heardAnythingAtMs < silenceMs else {
      redis?.reconnect(reason: "the subscription does not answer")
      return
    }
    redis?.post { $0.command("PING") }
    guard now - (heardCanaryAtMs ?? subscribedAtMs) >= silenceMs else { return }
    context.figures.setNotificationsLive(false)
    if !hasWarned {
      hasWarned = true
      context.log.repeated(
        .warn, "keyspace notifications do not come; deadlines are met without them",
        ["fix": "CONFIG SET notify-keyspace-events Ex, or start with --configure-redis"])
    }
    // They came and do not come any more: the server may be a replica by now, which announces no
    // expiry. Only a new connection can ask.
    if heardCanaryAtMs != nil {
      redis?.reconnect(reason: "notifications do not come any more")
    }
  }

  package func redisFailed(_ redis: RedisConnection, reason: String) {
    check?.cancel()
    context.figures.setNotificationsLive(false)
  }

  package func redisRefused(_ redis: RedisConnection, reason: String) {
    context.log.repeated(.error, "redis cannot be subscribed to", ["error": reason])
  }

  package func batchAnswered(_ redis: RedisConnection, _ batch: Batch, _ reply: RedisReply) {}
  package func batchFailed(_ redis: RedisConnection, _ batch: Batch, _ failure: RedisFailure) {}
}
