// DELETE: removes a session with its chats, or one chat.

internal import Access
internal import RedisConnection
internal import Scripts
internal import Wire

enum DeleteVerb {
  static let verb = Verb(
    name: "DELETE", rights: .write, words: [.sessionOrChat],
    options: [.token, .turn, .req],
    summary: "Removes a session now, with its chats, messages and links; or one chat.",
    role: .own,
    replies: ["OK", "NONE", "STALE"], writesEvents: true
  ) { (call) throws(RequestError) in
    let address = call.address
    if let chat = address.chat {
      try call.run(
        DeleteChatCall(
          device: address.device, session: address.session, chat: chat,
          token: call.fence, req: call.req))
    } else {
      try call.run(
        DeleteCall(
          device: address.device, session: address.session, token: call.fence,
          req: call.req))
    }
  }
}

/// A request for delete.lua.
struct DeleteCall: ScriptCall {
  static let script = Script.delete
  let device: ArgumentText
  let session: ArgumentText?
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(token)
    words.word(req)
  }
}

/// A request for delete_chat.lua.
struct DeleteChatCall: ScriptCall {
  static let script = Script.deleteChat
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
