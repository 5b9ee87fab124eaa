// SWITCH: makes a chat the current one.

internal import RedisConnection
internal import Scripts
internal import Wire

enum SwitchVerb {
  static let verb = Verb(
    name: "SWITCH", rights: .write, words: [.chat],
    options: [.token, .turn, .req],
    summary: "Makes a chat the current one.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    guard let chat = address.chat else {
      throw RequestError(.badRequest, "SWITCH needs a chat: write device/session/chat")
    }
    try call.run(
      SwitchChatCall(
        device: address.device, session: address.session, chat: chat, token: call.fence,
        req: call.req))
  }
}

/// A request for switch_chat.lua.
struct SwitchChatCall: ScriptCall {
  static let script = Script.switchChat
  let device: ArgumentText
  let session: ArgumentText?
  let chat: ArgumentText
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
