// RENEW: starts the TTL of a held lock again; never acquires.

internal import RedisLink
internal import Scripts
internal import Wire

enum RenewVerb {
  static let verb = Verb(
    name: "RENEW", rights: .write, words: [.device, .agent], options: [.token, .ttl, .req],
    required: [.token],
    summary: "Starts the TTL of the agent's own lock again; never acquires a free one.",
    replies: ["OK", "NONE", "HELD", "STALE"]
  ) { (call) throws(RequestError) in
    let agent = call.word(1)
    let ttlMs = call.ttlMs(of: agent)
    try call.run(.renew, dueInMs: ttlMs) { arguments in
      arguments.word(call.word(0))
      arguments.word(agent)
      arguments.word(ttlMs)
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.option(.req))
    }
  }
}
