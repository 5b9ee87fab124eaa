// CLOSE: ends a session, well or badly.

internal import RedisLink
internal import Scripts
internal import Wire

enum CloseVerb {
  static let verb = Verb(
    name: "CLOSE", rights: .write,
    words: [
      .session,
      WordRule(name: "completed|failed", kind: .oneOf(["completed", "failed"]), isOptional: true),
    ],
    options: [.reason, .token, .req],
    summary: "Ends a session: completed (the default) or failed.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    let isFailed = call.arguments.words.count > 1 && call.word(1).elementsEqual("failed".utf8)
    try call.run(.move, dueInMs: 0) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
      arguments.word("CLOSE")
      arguments.word(isFailed ? "failed" : "completed")
      arguments.word(orEmpty: call.json(.reason))
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.option(.req))
    }
  }
}
