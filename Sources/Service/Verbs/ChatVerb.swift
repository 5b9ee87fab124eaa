// CHAT: adds a chat to a session.

internal import RedisConnection
internal import Scripts
internal import Wire

enum ChatVerb {
  static let verb = Verb(
    name: "CHAT", rights: .write, words: [.session],
    options: [.name, .token, .turn, .req], payload: .optionalAny,
    limits: JSONLimits(bytes: ChatConfiguration.limit),
    summary: "Adds a chat, now the current one; the payload is its configuration.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(
      ChatCall(
        device: address.device, session: address.session, name: call.quoted(.name),
        config: call.payloadText, token: call.fence, req: call.req))
  }
}

/// A request for chat.lua.
struct ChatCall: ScriptCall {
  static let script = Script.chat
  let device: ArgumentText
  let session: ArgumentText?
  let name: ArgumentText?
  let config: ArgumentText?
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(name)
    words.word(config)
    words.word(token)
    words.word(req)
  }
}
