// CLEAR: the operator frees a lock, whichever agent holds it.

internal import RedisConnection
internal import Scripts
internal import Wire

enum ClearVerb {
  static let verb = Verb(
    name: "CLEAR", rights: .operate, words: [.device], options: [.req],
    summary: "Frees the device's lock, whichever agent holds it; for operators.",
    replies: ["OK", "NONE"]
  ) { (call) throws(RequestError) in
    try call.run(.clear) { arguments in
      arguments.word(call.word(0))
      arguments.word(orEmpty: call.requestKey)
    }
  }
}
