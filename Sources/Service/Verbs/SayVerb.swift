// SAY: appends messages to a chat.

internal import RedisConnection
internal import Scripts
internal import Wire

enum SayVerb {
  static let verb = Verb(
    name: "SAY", rights: .write, words: [.chat],
    options: [.token, .req], payload: .any,
    summary: "Appends a message, or an array of messages together, to a chat.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    let payload = call.payload ?? UnsafeBufferPointer(start: nil, count: 0)
    let messages = try Messages.parts(payload)
    try call.run(.say) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
      arguments.word(orEmpty: address.chat)
      arguments.word(messages.bytes)
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.requestKey)
    }
  }
}
