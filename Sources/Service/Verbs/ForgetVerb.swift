// FORGET: removes all messages of a chat.

internal import RedisConnection
internal import Scripts
internal import Wire

enum ForgetVerb {
  static let verb = Verb(
    name: "FORGET", rights: .write, words: [.chat],
    options: [.token, .req],
    summary: "Removes all messages of a chat.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(.forget) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
      arguments.word(orEmpty: address.chat)
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.requestKey)
    }
  }
}
