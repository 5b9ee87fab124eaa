// TELL: pushes an event of the caller's own to those who watch.

internal import RedisConnection
internal import Scripts
internal import Seal
internal import Wire

enum TellVerb {
  /// The most bytes of a payload, which each watcher is sent.
  static let payloadBytesMax = 64 << 10

  static let verb = Verb(
    name: "TELL", rights: .write, words: [.chat, WordRule(name: "type", kind: .agent)],
    payload: .any,
    summary: "Pushes an event of your own to those who watch with changes=yes; it is not kept.",
    replies: ["OK", "NONE"]
  ) { (call) throws(RequestError) in
    guard let payload = call.payload, payload.count <= payloadBytesMax else {
      throw RequestError(
        .tooLarge, "the payload of TELL may have \(payloadBytesMax) bytes at most")
    }
    let address = call.address
    try call.run(
      PushEventCall(
        device: address.device, session: address.session, chat: address.chat, kind: call[1],
        payload: call.sealer.text(payload, .event)))
  }
}

/// A request for push_event.lua.
struct PushEventCall: ScriptCall {
  static let script = Script.pushEvent
  let device: ArgumentText
  let session: ArgumentText?
  let chat: ArgumentText?
  let kind: ArgumentText
  let payload: ArgumentText

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(chat)
    words.word(kind)
    words.word(payload)
  }
}
