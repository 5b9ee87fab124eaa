// FORGET: removes all messages of a chat.

internal import RedisConnection
internal import Scripts
internal import Wire

enum ForgetVerb {
  static let verb = Verb(
    name: "FORGET", rights: .write, words: [.chat],
    options: [.token, .turn, .req],
    summary: "Removes all messages of a chat.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(
      ForgetCall(
        device: address.device, session: address.session, chat: address.chat,
        token: call.fence, req: call.req))
  }
}

/// A request for forget.lua.
struct ForgetCall: ScriptCall {
  static let script = Script.forget
  let device: ArgumentText
  let session: ArgumentText?
  let chat: ArgumentText?
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(chat)
    words.word(token)
    words.word(req)
  }
}
