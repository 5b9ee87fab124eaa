// SEIZE: takes a lock, whichever agent holds it.

internal import RedisConnection
internal import Scripts
internal import Wire

enum SeizeVerb {
  static let verb = Verb(
    name: "SEIZE", rights: .write, words: [.device, .agent], options: [.ttl, .req],
    summary: "Takes the device's lock, whichever agent holds it, under a new token.",
    replies: ["OK"]
  ) { (call) throws(RequestError) in
    let agent = call.word(1)
    let ttlMs = call.ttlMs(of: agent)
    try call.run(.seize, dueInMs: ttlMs) { arguments in
      arguments.word(call.word(0))
      arguments.word(agent)
      arguments.word(LockTTL.text(ofMs: ttlMs))
      arguments.word(orEmpty: call.requestKey)
    }
  }
}
