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
    guard let chat = address.chat else {
      try call.run(GetCall(device: address.device, session: address.session))
      return
    }
    try call.run(.getChat) { arguments in
      arguments.word(address.device)
      arguments.word(address.session)
      arguments.word(chat)
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
