// GET: a session's record, or one chat.

internal import RedisConnection
internal import Scripts
internal import Wire

enum GetVerb {
  static let verb = Verb(
    name: "GET", rights: .read, words: [.sessionOrChat],
    summary: "A session's record, or one of its chats.",
    replies: ["OK", "NONE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    if let chat = address.chat {
      try call.run(GetChatCall(device: address.device, session: address.session, chat: chat))
    } else {
      try call.run(GetCall(device: address.device, session: address.session))
    }
  }
}

/// A request for get.lua.
struct GetCall: ScriptCall {
  static let script = Script.get
  let device: ArgumentText
  let session: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
  }
}

/// A request for get_chat.lua.
struct GetChatCall: ScriptCall {
  static let script = Script.getChat
  let device: ArgumentText
  let session: ArgumentText?
  let chat: ArgumentText

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(chat)
  }
}
