// PAUSE: puts an active session aside.

internal import RedisLink
internal import Scripts
internal import Wire

enum PauseVerb {
  static let verb = Verb(
    name: "PAUSE", rights: .write, words: [.session],
    options: [.token, .req, .reason],
    summary: "Puts an active session aside.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(.move, dueInMs: 0) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
      arguments.word("PAUSE")
      arguments.word("paused")
      arguments.word(orEmpty: call.json(.reason))
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.option(.req))
    }
  }
}
