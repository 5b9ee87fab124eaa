// CHATS: the chats of a session.

internal import RedisConnection
internal import Scripts
internal import Wire

enum ChatsVerb {
  static let verb = Verb(
    name: "CHATS", rights: .read, words: [.session],
    summary: "The chats of a session.",
    replies: ["OK", "NONE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(.chats) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
    }
  }
}
