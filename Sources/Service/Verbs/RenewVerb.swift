// RENEW: starts the TTL of a held lock again; never acquires.

internal import RedisConnection
internal import Scripts
internal import Wire

enum RenewVerb {
  static let verb = Verb(
    name: "RENEW", rights: .write, words: [.device, .agent], options: [.token, .ttl, .req],
    required: [.token],
    summary: "Starts the TTL of the agent's own lock again; never acquires a free one.",
    replies: ["OK", "NONE", "HELD", "STALE"]
  ) { (call) throws(RequestError) in
    let claimant = LockClaimant(token: call.number(.token) ?? 0, agent: call[1])
    let lease = call.lease(token: nil)
    let ms = lease.ttl.ms
    try call.run(RenewCall(claimant: claimant, lease: consume lease), dueInMs: ms)
  }
}

/// A request for renew.lua; its key is the lock's record.
struct RenewCall: ScriptCall {
  static let script = Script.renew
  let claimant: LockClaimant
  let lease: LockLease

  func write(to words: inout CommandBuffer) {
    words.word(claimant)
    words.word(lease)
  }
}
