// Owns: the two connections to one sentinel: one that asks which server is the master, and one that
// learns of failovers. Must not know which of several sentinels counts. Runs on its loop's thread.

internal import Loop

/// A sentinel's latest word on the master.
package enum SentinelState: Equatable, Sendable {
  case unknown
  case names(MasterAnswer, quorum: Int64)
  /// It answers, and watches no master of that name.
  case knowsNoSuchMaster
  /// It cannot be asked; why.
  case away(String)
}

/// One sentinel.
final class SentinelConnection: RedisConnectionOwner {
  let address: Address
  private let loop: EventLoop
  private let master: String
  private let changed: () -> Void
  private(set) var state = SentinelState.unknown
  private var asking: RedisConnection?
  private var subscriber: RedisConnection?
  private var isAsked = false
  /// Whether something has happened since it was asked.
  private var isOutdated = false

  /// By when a sentinel has to answer, in ms.
  private static let timeoutMs: Int64 = 1_000
  /// Channels that say that a look is worth while: the first when another master is to be used, the
  /// second when the one that will be has been promoted.
  private static let channels = ["+switch-master", "+promoted-slave"]

  /// `changed` is called when its state has changed.
  init(
    _ loop: EventLoop, _ setup: RedisSetup, _ address: Address, master: String,
    changed: @escaping () -> Void
  ) {
    self.loop = loop
    self.address = address
    self.master = master
    self.changed = changed
    var setup = setup
    setup.endpoint = setup.endpoint.server(address)
    asking = RedisConnection(loop, setup, owner: self)
    subscriber = RedisConnection(loop, setup, owner: self)
    subscriber?.pushReceived = { [unowned self] reply in
      // What it says is a hint: the answer to a question has the epoch too.
      if reply.count == 3, reply[0].text == "message" { ask() }
    }
  }

  func start() {
    asking?.start()
    subscriber?.start()
  }

  func stop() {
    asking?.stop()
    subscriber?.stop()
  }

  func flush() {
    asking?.flush()
    subscriber?.flush()
  }

  /// Asks which server is the master, and has the other connection show that it lives.
  func ask() {
    guard !isAsked else {
      isOutdated = true
      return
    }
    guard let asking, asking.isReady else { return }
    (isAsked, isOutdated) = (true, false)
    // The address comes after the epoch: a failover in between gives a new address under an old
    // epoch, which is corrected by the next answer, and not an old one under the new epoch.
    var known: [String: String] = [:]
    var error: String?
    asking.call(
      timeoutMs: SentinelConnection.timeoutMs,
      { [master] in $0.command("SENTINEL", "MASTER", master) }
    ) { result in
      guard case .success(let reply) = result else { return }
      if reply.kind == .error { error = reply.text }
      for at in stride(from: 0, to: reply.count - 1, by: 2) {
        known[reply[at].text] = reply[at + 1].text
      }
    }
    asking.call(
      timeoutMs: SentinelConnection.timeoutMs,
      { [master] in $0.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", master) }
    ) { [unowned self] result in
      isAsked = false
      // A lost connection has been reported.
      guard case .success(let reply) = result else { return }
      became(SentinelConnection.state(known, error, reply))
      if isOutdated { ask() }
    }
    asking.flush()
    subscriber?.post { $0.command("PING") }
  }

  private static func state(
    _ known: [String: String], _ error: String?, _ reply: RedisReply
  ) -> SentinelState {
    if reply.kind == .null { return .knowsNoSuchMaster }
    if reply.kind == .error { return .away("it said: \(reply.text)") }
    if let error { return .away("it said: \(error)") }
    guard reply.count == 2, let port = UInt16(reply[1].text),
      let epoch = known["config-epoch"].flatMap({ Int64($0) })
    else { return .away("it does not answer as a sentinel does") }
    let flags = known["flags"]?.split(separator: ",") ?? []
    let answer = MasterAnswer(
      .tcp(host: reply[0].text, port: port), epoch: epoch,
      isDown: flags.contains { $0 == "s_down" || $0 == "o_down" })
    return .names(answer, quorum: known["quorum"].flatMap { Int64($0) } ?? 0)
  }

  private func became(_ next: SentinelState) {
    guard next != state else { return }
    state = next
    changed()
  }

  // MARK: Connections

  func redisServes(_ redis: RedisConnection) {
    guard redis === subscriber else { return ask() }
    redis.post { out in
      out.begin(words: 1 + SentinelConnection.channels.count)
      out.word("SUBSCRIBE")
      for channel in SentinelConnection.channels { out.word(channel) }
    }
    // What happened before is not announced.
    ask()
  }

  func redisFailed(_ redis: RedisConnection, reason: String) {
    if redis === asking { became(.away(reason)) }
  }

  func redisRefused(_ redis: RedisConnection, reason: String) {
    if redis === asking { became(.away(reason)) }
  }

  func batchAnswered(_ redis: RedisConnection, _ batch: Batch, _ reply: RedisReply) {}
  func batchFailed(_ redis: RedisConnection, _ batch: Batch, _ failure: RedisFailure) {}
}
