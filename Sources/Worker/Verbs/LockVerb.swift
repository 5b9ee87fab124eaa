// LOCK: acquires a device's lock for an agent, or starts its TTL again.

internal import RedisLink
internal import Scripts
internal import Wire

enum LockVerb {
  static let verb = Verb(
    name: "LOCK", rights: .write, words: [.device, .agent], options: [.ttl, .token, .req],
    summary: "Acquires the device's lock, or starts the TTL again for the agent that holds it.",
    replies: ["OK", "HELD", "STALE"]
  ) { (call) throws(RequestError) in
    let agent = call.word(1)
    let ttlMs = call.ttlMs(of: agent)
    try call.run(.lock, dueInMs: ttlMs) { arguments in
      arguments.word(call.word(0))
      arguments.word(agent)
      arguments.word(ttlMs)
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.option(.req))
    }
  }
}
