// LOCK: acquires a device's lock for an agent, or starts its TTL again.

internal import RedisConnection
internal import Scripts
internal import Wire

enum LockVerb {
  static let verb = Verb(
    name: "LOCK", rights: .write, words: [.device, .agent], options: [.ttl, .token, .req],
    summary: "Acquires the device's lock, or starts the TTL again for the agent that holds it.",
    replies: ["OK", "HELD", "STALE"]
  ) { (call) throws(RequestError) in
    let lease = call.lease(token: call.number(.token))
    let ms = lease.ttl.ms
    try call.run(LockCall(agent: call[1], lease: consume lease), dueInMs: ms)
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
