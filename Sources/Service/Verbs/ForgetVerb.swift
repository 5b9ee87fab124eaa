// FORGET: removes messages of a chat.

internal import RedisConnection
internal import Scripts
internal import Wire

enum ForgetVerb {
  static let verb = Verb(
    name: "FORGET", rights: .write, words: [.chat],
    options: [.afterSeq, .seq, .token, .turn, .req],
    summary: "Removes all messages of a chat, those after a number, or one.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    guard call.option(.afterSeq) == nil || call.option(.seq) == nil else {
      throw RequestError(.badRequest, "after= and seq= exclude each other")
    }
    let address = call.address
    try call.run(
      ForgetCall(
        device: address.device, session: address.session, chat: address.chat,
        after: call.number(.afterSeq), seq: call.number(.seq), token: call.fence, req: call.req))
  }
}

/// A request for forget.lua.
struct ForgetCall: ScriptCall {
  static let script = Script.forget
  let device: ArgumentText
  let session: ArgumentText?
  let chat: ArgumentText?
  let after: Int64?
  let seq: Int64?
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(chat)
    words.word(after)
    words.word(seq)
    words.word(token)
    words.word(req)
  }
}
