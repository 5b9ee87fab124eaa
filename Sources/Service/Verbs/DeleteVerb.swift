// DELETE: removes a session with its chats, or one chat.

internal import RedisConnection
internal import Scripts
internal import Wire

enum DeleteVerb {
  static let verb = Verb(
    name: "DELETE", rights: .write, words: [.sessionOrChat],
    options: [.token, .req],
    summary: "Removes a session now, with its chats, messages and links; or one chat.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    guard address.chat == nil else {
      try call.run(.deleteChat) { arguments in
        arguments.word(address.device)
        arguments.word(orEmpty: address.session)
        arguments.word(orEmpty: address.chat)
        arguments.word(orEmpty: call.number(.token))
        arguments.word(orEmpty: call.requestKey)
      }
      return
    }
    try call.run(.delete) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.requestKey)
    }
  }
}
