// DELETE: removes a session with its chats.

internal import RedisConnection
internal import Scripts
internal import Wire

enum DeleteVerb {
  static let verb = Verb(
    name: "DELETE", rights: .write, words: [.session],
    options: [.token, .req],
    summary: "Removes a session now, with its chats, messages and links.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(.delete) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.requestKey)
    }
  }
}
