// LOCK: acquires a device's lock for an agent, or starts its TTL again; or waits for it.

internal import Events
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

enum LockVerb {
  static let verb = Verb(
    name: "LOCK", rights: .write, words: [.device, .agent],
    options: [.ttl, .token, .fresh, .wait, .req],
    summary: "Acquires the device's lock, or starts the TTL again for the agent that holds it.",
    replies: ["OK", "HELD", "STALE"]
  ) { (call) throws(RequestError) in
    guard call.option(.fresh) == nil, call.option(.wait) == nil else { return try wait(call) }
    let lease = call.lease(token: call.number(.token))
    let ms = lease.ttl.ms
    try call.run(LockCall(agent: call[1], lease: consume lease), dueInMs: ms)
  }

  /// LOCK with `fresh=` or `wait=`: not served together with renewals.
  private static func wait(_ call: borrowing Call) throws(RequestError) {
    guard call.option(.token) == nil else {
      throw RequestError(
        .badRequest,
        "token= renews the own lock, so fresh= and wait= do not go with it: \(verb.usage)")
    }
    let ttlMs = call.ttlMs(of: call.word(1))
    let waitMs = call.number(.wait) ?? 0
    let isFresh = call.text(.fresh) == "yes"
    let lock = AwaitLockCall(
      device: call[0].kept, agent: call[1].kept, ttl: call.lockLength(ms: ttlMs),
      isAsked: call.option(.ttl) != nil, isFresh: isFresh, req: call.req?.kept)
    guard waitMs > 0 else { return try call.run(lock, dueInMs: ttlMs) }
    let (device, partition) = (call.text(0), call.partition)
    let request = try HeldRequest(call, waits: true)
    request.context.waits.begin(
      WaitingRequest(
        connection: call.caller.id, kind: .lock, device: device,
        rest: "\(lock.req.ticketRequest) \(call.text(1)) \(isFresh ? "fresh" : "-")",
        waitMs: waitMs,
        ask: { ticket, waitedMs, place, done in
          var lock = lock
          (lock.ticket, lock.waitMs, lock.waitedMs) = (ArgumentText(ticket), waitMs, waitedMs)
          lock.place = ArgumentText(place)
          request.store.call(ScriptQuery(lock, at: partition)) { outcome in
            request.context.note(partition, dueInMs: ttlMs)
            done(outcome)
          }
        }, end: { request.end($0) }))
  }
}

/// A request for lock.lua; its key is the lock's record.
struct LockCall: ScriptCall {
  static let script = Script.lock
  let agent: ArgumentText
  let lease: LockLease

  func write(to words: inout CommandBuffer) {
    words.word(agent)
    words.word(lease)
  }
}

/// A request for await_lock.lua.
struct AwaitLockCall: ScriptCall {
  static let script = Script.awaitLock
  let device: ArgumentText
  let agent: ArgumentText
  let ttl: LockLength
  let isAsked: Bool
  let isFresh: Bool
  /// The name under which it waits; nil if it does not.
  var ticket: ArgumentText?
  var waitMs: Int64 = 0
  /// How long it has waited so far.
  var waitedMs: Int64 = 0
  /// Its place in the queue, as Redis has named it; nil before that.
  var place: ArgumentText?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(agent)
    words.word(ttl)
    words.word(isAsked)
    words.word(isFresh)
    words.word(ticket)
    words.word(waitMs)
    words.word(waitedMs)
    words.word(place)
    words.word(req)
  }
}
