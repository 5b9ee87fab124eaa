// SWITCH: makes a chat the current one.

internal import RedisConnection
internal import Scripts
internal import Wire

enum SwitchVerb {
  static let verb = Verb(
    name: "SWITCH", rights: .write, words: [.chat],
    options: [.token, .req],
    summary: "Makes a chat the current one.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    guard address.chat != nil else {
      throw RequestError(.badRequest, "SWITCH needs a chat: write device/session/chat")
    }
    try call.run(.switchChat) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
      arguments.word(orEmpty: address.chat)
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.requestKey)
    }
  }
}
