// RESUME: goes on with a paused session.

internal import RedisLink
internal import Scripts
internal import Wire

enum ResumeVerb {
  static let verb = Verb(
    name: "RESUME", rights: .write, words: [.session],
    options: [.token, .req],
    summary: "Goes on with a paused session.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(.move, dueInMs: 0) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
      arguments.word("RESUME")
      arguments.word("active")
      arguments.emptyWord()
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.option(.req))
    }
  }
}
