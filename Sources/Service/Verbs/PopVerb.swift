// POP: removes and returns the newest message.

internal import RedisConnection
internal import Scripts
internal import Wire

enum PopVerb {
  static let verb = Verb(
    name: "POP", rights: .write, words: [.chat],
    options: [.token, .req],
    summary: "Removes and returns the newest message of a chat.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(.pop) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
      arguments.word(orEmpty: address.chat)
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.requestKey)
    }
  }
}
