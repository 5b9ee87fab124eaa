// CHAT: adds a chat to a session.

internal import RedisConnection
internal import Scripts
internal import Wire

enum ChatVerb {
  static let verb = Verb(
    name: "CHAT", rights: .write, words: [.session],
    options: [.name, .token, .req], payload: .optionalAny,
    summary: "Adds a chat, now the current one; the payload is its configuration.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    guard call.payload?.count ?? 0 <= Members.bytesMax else {
      throw RequestError(
        .tooLarge, "a chat's configuration may have \(Members.bytesMax) bytes")
    }
    try call.run(.chat) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
      arguments.word(orEmpty: call.json(.name))
      arguments.word(orEmpty: call.payload)
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.requestKey)
    }
  }
}
