// PUT: writes a document.

internal import RedisConnection
internal import Scripts
internal import Seal
internal import Settings
internal import Wire

enum PutVerb {
  static let verb = Verb(
    name: "PUT", rights: .write, words: [.session, .documentKey],
    options: [.ttl, .condition, .rev, .token, .turn, .req], payload: .document,
    summary: "Writes a document of a session: an object, an array or a string.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    guard let value = call.payload else { return }
    let bytesMax = call.shared.settings.valueBytesMax
    guard value.count <= bytesMax else {
      throw RequestError(.tooLarge, "a document may have \(bytesMax) bytes at most")
    }
    let (address, key) = (call.address, DocumentKey.escaped(call.word(1)))
    let kept =
      call.shared.seal == nil
      ? ArgumentText.lent(value) : .owned(call.sealer.bytes(value, .document, name: key))
    try call.run(
      PutCall(
        device: address.device, session: address.session, key: .owned(key),
        ttlMs: call.number(.ttl),
        wanted: call[.condition], seenRev: call.number(.rev), value: kept,
        token: call.fence, req: call.req), dueInMs: call.number(.ttl))
  }
}

/// A request for put.lua.
struct PutCall: ScriptCall {
  static let script = Script.put
  let device: ArgumentText
  let session: ArgumentText?
  let key: ArgumentText
  let ttlMs: Int64?
  let wanted: ArgumentText?
  let seenRev: Int64?
  let value: ArgumentText
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(key)
    words.word(ttlMs)
    words.word(wanted)
    words.word(seenRev)
    words.word(value)
    words.word(token)
    words.word(req)
  }
}
