// UNLOCK: the holder gives its lock back.

internal import RedisConnection
internal import Scripts
internal import Wire

enum UnlockVerb {
  static let verb = Verb(
    name: "UNLOCK", rights: .write, words: [.device, .agent], options: [.token, .req],
    summary: "Frees the device's lock, if this agent holds it.",
    replies: ["OK", "NONE", "HELD", "STALE"]
  ) { (call) throws(RequestError) in
    try call.run(.unlock) { arguments in
      arguments.word(call.word(0))
      arguments.word(call.word(1))
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.requestKey)
    }
  }
}
