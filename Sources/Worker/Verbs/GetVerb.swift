// GET: a session's record.

internal import RedisConnection
internal import Scripts
internal import Wire

enum GetVerb {
  static let verb = Verb(
    name: "GET", rights: .read, words: [.session],
    summary: "A session's record.",
    replies: ["OK", "NONE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(.get) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
    }
  }
}
