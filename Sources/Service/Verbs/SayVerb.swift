// SAY: appends messages to a chat.

internal import RedisConnection
internal import Scripts
internal import Seal
internal import Settings
internal import Wire

enum SayVerb {
  static let verb = Verb(
    name: "SAY", rights: .write, words: [.chat],
    options: [.seq, .id, .afterSeq, .lastSeq, .token, .turn, .req],
    userAddress: .session(UserLookup.run), payload: .any,
    limits: JSONLimits(elements: Messages.limit),
    summary: "Appends a message, or an array of messages together, to a chat.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    guard call.option(.lastSeq) == nil || call.option(.afterSeq) != nil else {
      throw RequestError(.badRequest, "last= goes with after=; alone, seq= says the same")
    }
    let address = call.address
    let payload = call.payload ?? UnsafeBufferPointer(start: nil, count: 0)
    let bytesMax = call.shared.settings.valueBytesMax
    let messages = try Messages.parts(
      payload, call.sealer, bytesMax: bytesMax, mayBeNone: true
    ).bytes
    let say = SayCall(
      device: address.device, session: address.session, chat: address.chat,
      messages: messages.isEmpty ? nil : .owned(messages), seen: call.number(.seq),
      id: call[.id], after: call.number(.afterSeq), last: call.number(.lastSeq),
      token: call.fence, req: call.req)
    guard let member = call.option(.id), !messages.isEmpty else { return try call.run(say) }
    let ids = call.shared.seal.map { MessageIDs($0.hashing, Array(member), of: call.device) }
    try IndexedSay(call, say, payload, ids)
  }
}

/// A request for say.lua.
struct SayCall: ScriptCall {
  static let script = Script.say
  let device: ArgumentText
  let session: ArgumentText?
  let chat: ArgumentText?
  let messages: ArgumentText?
  let seen: Int64?
  let id: ArgumentText?
  let after: Int64?
  let last: Int64?
  /// Where messages are sealed: parts, the key of their ids and the id of each, empty for none.
  var ids: ArgumentText?
  /// The same of the chat's messages, to make an index of: parts, the chat's stamp, and the number
  /// and the id of each.
  var index: ArgumentText?
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(chat)
    words.word(messages)
    words.word(seen)
    words.word(id)
    words.word(after)
    words.word(last)
    words.word(ids)
    words.word(index)
    words.word(token)
    words.word(req)
  }
}
