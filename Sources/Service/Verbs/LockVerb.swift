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
    try call.runRenewal(.lock, token: call.number(.token)) { $0.word(call.word(1)) }
  }
}
