// GET: a session's record, or one chat.

internal import RedisConnection
internal import Scripts
internal import Wire

enum GetVerb {
  static let verb = Verb(
    name: "GET", rights: .read, words: [.sessionOrChat],
    summary: "A session's record, or one of its chats.",
    replies: ["OK", "NONE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(address.chat == nil ? .get : .getChat) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
      if let chat = address.chat { arguments.word(chat) }
    }
  }
}
