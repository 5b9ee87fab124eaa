// ARCHIVE: archives a session now.

internal import RedisLink
internal import Scripts
internal import Wire

enum ArchiveVerb {
  static let verb = Verb(
    name: "ARCHIVE", rights: .write, words: [.session],
    options: [.token, .req],
    summary: "Archives a session now.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(.move, dueInMs: 0) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
      arguments.word("ARCHIVE")
      arguments.word("archived")
      arguments.emptyWord()
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.option(.req))
    }
  }
}
