// CLOSE: ends a session, well or badly.

internal import SessionModel
internal import Wire

enum CloseVerb {
  static let verb = Verb(
    name: "CLOSE", rights: .write,
    words: [
      .session,
      WordRule(name: "completed|failed", kind: .oneOf(["completed", "failed"]), isOptional: true),
    ],
    options: [.reason, .token, .turn, .req], userAddress: .session(UserLookup.run),
    summary: "Ends a session: completed (the default) or failed.",
    replies: ["OK", "NONE", "STALE"], writesEvents: true
  ) { (call) throws(RequestError) in
    let isFailed = call.arguments.words.count > 1 && call.word(1).elementsEqual("failed".utf8)
    try call.move(to: isFailed ? .failed : .completed)
  }
}
