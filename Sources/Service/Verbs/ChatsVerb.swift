// CHATS: the chats of a session.

internal import RedisConnection
internal import Scripts
internal import Wire

enum ChatsVerb {
  static let verb = Verb(
    name: "CHATS", rights: .read, words: [.session],
    summary: "The chats of a session.",
    replies: ["OK", "NONE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(ChatsCall(device: address.device, session: address.session))
  }
}

/// A request for chats.lua.
struct ChatsCall: ScriptCall {
  static let script = Script.chats
  let device: ArgumentText
  let session: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
  }
}
