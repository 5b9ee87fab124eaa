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
    let token = call.number(.token) ?? 0
    try call.runRenewal(.renew, token: nil) { $0.word(token, call.word(1)) }
  }
}
