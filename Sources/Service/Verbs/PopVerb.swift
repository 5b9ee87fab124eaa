// POP: removes and returns the newest messages.

internal import RedisConnection
internal import Scripts
internal import Wire

enum PopVerb {
  static let verb = Verb(
    name: "POP", rights: .write, words: [.chat],
    options: [.count, .lastSeq, .token, .turn, .req],
    summary: "Removes and returns the newest message of a chat, or several.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(
      PopCall(
        device: address.device, session: address.session, chat: address.chat,
        count: call.number(.count), last: call.number(.lastSeq), token: call.fence, req: call.req))
  }
}

/// A request for pop.lua.
struct PopCall: ScriptCall {
  static let script = Script.pop
  let device: ArgumentText
  let session: ArgumentText?
  let chat: ArgumentText?
  let count: Int64?
  let last: Int64?
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(chat)
    words.word(count)
    words.word(last)
    words.word(token)
    words.word(req)
  }
}
