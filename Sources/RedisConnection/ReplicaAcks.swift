// Owns: the wait for replicas: changes are followed by one WAIT, and their replies are held until
// its answer. Runs on the connection's loop's thread.
//
// WAIT counts the replicas that have all that the server had written when it ran the connection's
// latest command, over any connection: so the kept reply to a retry, which writes nothing, waits
// too.

internal import Loop
internal import Scripts

/// The replies to calls with changes, until it is known how many replicas have these.
struct HeldReplies {
  /// Whether changes were sent that no WAIT follows yet, and the earliest deadline of these.
  private var sentDeadlineMs: Int64?
  private var held: [(call: PendingCall, reply: KeptRedisReply)] = []
  /// Whether too few replicas answered the latest WAIT.
  var isShort = false
  /// When a WAIT had its full time last.
  private var fullWaitMs: Int64?
  /// While too few replicas answer, one WAIT has its full time so often: each holds up all behind
  /// it.
  private static let fullEveryMs: Int64 = 1_000

  mutating func changeSent(deadlineMs: Int64) {
    sentDeadlineMs = min(sentDeadlineMs ?? .max, deadlineMs)
  }

  /// The deadline of the WAIT that is due; nil if none is.
  mutating func takeDeadline() -> Int64? {
    defer { sentDeadlineMs = nil }
    return sentDeadlineMs
  }

  /// How long the next WAIT may wait, of a time in full.
  mutating func waitMs(full: Int64, nowMs: Int64) -> Int64 {
    if isShort, let fullWaitMs, nowMs - fullWaitMs < HeldReplies.fullEveryMs {
      return max(1, full / 8)
    }
    fullWaitMs = nowMs
    return max(1, full)
  }

  mutating func hold(_ call: PendingCall, _ reply: KeptRedisReply) { held.append((call, reply)) }

  /// Gives away what is held, in its order.
  mutating func takeAll() -> [(call: PendingCall, reply: KeptRedisReply)] {
    defer { held = [] }
    return held
  }
}

extension RedisConnection {
  /// Has the server say how many replicas have the changes that were sent since the last time.
  func askForAcks() {
    guard setup.replicaAcks > 0, let deadlineMs = heldReplies.takeDeadline() else { return }
    // Calls behind it wait too: so it gets a quarter of the time that a request has.
    let left = (deadlineMs - loop.nowMs) / 2
    let ms = heldReplies.waitMs(full: min(setup.requestTimeoutMs / 4, left), nowMs: loop.nowMs)
    outbox.command("WAIT", "\(setup.replicaAcks)", "\(ms)")
    expect(.acks, deadlineMs: deadlineMs)
  }

  /// Keeps the reply to a call with changes until replicas have these.
  ///
  /// Returns false if it can be passed on.
  func hold(_ reply: RedisReply, of call: PendingCall) -> Bool {
    guard setup.replicaAcks > 0, call.isChange, reply.kind != .error else { return false }
    heldReplies.hold(call, KeptRedisReply(reply))
    // Redis is done with it.
    if case .batch(let batch) = call.expectation { order.answered(batch.sequence) }
    sendWaiting()
    return true
  }

  /// Passes on the replies that were held for a WAIT.
  func acksAnswered(_ reply: RedisReply) {
    let calls = heldReplies.takeAll()
    // An error too: the server may not let this user ask, or has become a replica.
    let count = reply.kind == .integer ? reply.integer ?? 0 : 0
    heldReplies.isShort = count < Int64(setup.replicaAcks)
    guard heldReplies.isShort else {
      for (call, kept) in calls { deliver(kept.reply, to: call) }
      return
    }
    setup.figures.addUnacknowledged(calls.count)
    let why = reply.kind == .error ? StoreError(reply.text).refusal : nil
    let reason = why ?? "\(count) of \(setup.replicaAcks) replicas have it"
    for (call, kept) in calls { deliverUnacknowledged(kept.reply, to: call, reason) }
  }

  private func deliverUnacknowledged(
    _ reply: RedisReply, to call: PendingCall, _ reason: String
  ) {
    switch call.expectation {
    case .batch(let batch):
      batch.isUnacknowledged = true
      deliver(reply, to: call)
    case .script(let single) where ReplicaAcks.isChange(reply):
      single.handler(.failure(.noAnswer(reason)))
    case .script: deliver(reply, to: call)
    case .greeting, .identity, .call, .fence, .acks, .givenUp:
      preconditionFailure("only calls of scripts are held")
    }
  }

  /// It is not known whether replicas have what was changed.
  func failHeld(_ failure: RedisFailure) {
    for (call, _) in heldReplies.takeAll() { fail(call, failure) }
    _ = heldReplies.takeDeadline()
  }
}

/// Which replies are about a change.
package enum ReplicaAcks {
  private static let unchanged = ["HELD", "BUSY", "NONE", "STALE", "ERR", "WAIT"].map {
    Array($0.utf8)
  }

  /// Whether a script that changes something has, by its reply; a place in a queue is no promise.
  package static func isChange(_ reply: RedisReply) -> Bool {
    guard reply.kind == .text else { return reply.kind != .error }
    return !unchanged.contains { word in
      reply.bytes.starts(with: word)
        && (reply.bytes.count == word.count || reply.bytes[word.count] == UInt8(ascii: " "))
    }
  }
}
