// POP: removes and returns the newest message.

internal import RedisConnection
internal import Scripts
internal import Wire

enum PopVerb {
  static let verb = Verb(
    name: "POP", rights: .write, words: [.chat],
    options: [.token, .turn, .req],
    summary: "Removes and returns the newest message of a chat.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(
      PopCall(
        device: address.device, session: address.session, chat: address.chat,
        token: call.fence, req: call.req))
  }
}

/// A request for pop.lua.
struct PopCall: ScriptCall {
  static let script = Script.pop
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
