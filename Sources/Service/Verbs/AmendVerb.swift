// AMEND: replaces a message of a chat in its place.

internal import RedisConnection
internal import Scripts
internal import Seal
internal import Settings
internal import Wire

enum AmendVerb {
  static let verb = Verb(
    name: "AMEND", rights: .write, words: [.chat],
    options: [.seq, .token, .turn, .req], required: [.seq], payload: .any,
    summary: "Replaces a message of a chat in its place.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    guard let payload = call.payload, let seq = call.number(.seq) else { return }
    try Messages.check(payload[...], call.shared.settings.valueBytesMax)
    let address = call.address
    try call.run(
      AmendCall(
        device: address.device, session: address.session, chat: address.chat, seq: seq,
        message: call.sealer.text(payload, .message), token: call.fence, req: call.req))
  }
}

/// A request for amend.lua.
struct AmendCall: ScriptCall {
  static let script = Script.amend
  let device: ArgumentText
  let session: ArgumentText?
  let chat: ArgumentText?
  let seq: Int64
  let message: ArgumentText
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(chat)
    words.word(seq)
    words.word(message)
    words.word(token)
    words.word(req)
  }
}
