// HANDOFF: passes a lock from its holder to another agent in one step.

internal import RedisConnection
internal import Scripts
internal import Seal
internal import Wire

enum HandoffVerb {
  /// The most bytes of a note, which the log of events keeps too.
  static let noteBytesMax = 64 << 10
  private static let limit = JSONLimit(
    noteBytesMax, RequestError(.tooLarge, "a note may have \(noteBytesMax) bytes at most"))

  static let verb = Verb(
    name: "HANDOFF", rights: .write,
    words: [
      .device, WordRule(name: "from", kind: .agent), WordRule(name: "to", kind: .agent),
    ],
    options: [.token, .ttl, .return, .req], payload: .optionalAny,
    limits: JSONLimits(bytes: limit),
    summary: "Passes the lock to another agent; the payload is a note that HOLDER shows.",
    replies: ["OK", "NONE", "HELD", "STALE"], writesEvents: true, laterEvent: .return
  ) { (call) throws(RequestError) in
    let ttlMs = call.ttlMs(of: call.word(2))
    var returnTtl: LockLength?
    if let returnMs = call.number(.return) { returnTtl = call.lockLength(ms: returnMs) }
    try call.run(
      HandoffCall(
        device: call[0], from: call[1], to: call[2], ttl: call.lockLength(ms: ttlMs),
        token: call.number(.token), note: call.sealedPayload(.note),
        returnTtl: returnTtl, req: call.req), dueInMs: ttlMs)
  }
}

/// A request for handoff.lua.
struct HandoffCall: ScriptCall {
  static let script = Script.handoff
  let device: ArgumentText
  let from: ArgumentText
  let to: ArgumentText
  let ttl: LockLength
  let token: Int64?
  let note: ArgumentText?
  /// For how long the lock runs that goes back; nil if it does not.
  let returnTtl: LockLength?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(from)
    words.word(to)
    words.word(ttl)
    words.word(token)
    words.word(note)
    words.word(returnTtl)
    words.word(req)
  }
}
