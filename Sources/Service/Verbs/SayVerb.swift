// SAY: appends messages to a chat.

internal import RedisConnection
internal import Scripts
internal import Wire

enum SayVerb {
  static let verb = Verb(
    name: "SAY", rights: .write, words: [.chat],
    options: [.token, .turn, .req], payload: .any,
    limits: JSONLimits(elements: Messages.limit),
    summary: "Appends a message, or an array of messages together, to a chat.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    let payload = call.payload ?? UnsafeBufferPointer(start: nil, count: 0)
    let messages = try Messages.parts(payload)
    try call.run(
      SayCall(
        device: address.device, session: address.session, chat: address.chat,
        messages: .owned(messages.bytes), token: call.fence, req: call.req))
  }
}

/// A request for say.lua.
struct SayCall: ScriptCall {
  static let script = Script.say
  let device: ArgumentText
  let session: ArgumentText?
  let chat: ArgumentText?
  let messages: ArgumentText
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(chat)
    words.word(messages)
    words.word(token)
    words.word(req)
  }
}
