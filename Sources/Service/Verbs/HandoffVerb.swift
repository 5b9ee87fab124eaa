// HANDOFF: passes a lock from its holder to another agent in one step.

internal import RedisConnection
internal import Scripts
internal import Wire

enum HandoffVerb {
  /// The most bytes of a note, which the log of events keeps too.
  static let noteBytesMax = 64 << 10

  static let verb = Verb(
    name: "HANDOFF", rights: .write,
    words: [
      .device, WordRule(name: "from", kind: .agent), WordRule(name: "to", kind: .agent),
    ],
    options: [.token, .ttl, .req], payload: .optionalAny,
    summary: "Passes the lock to another agent; the payload is a note that HOLDER shows.",
    replies: ["OK", "NONE", "HELD", "STALE"]
  ) { (call) throws(RequestError) in
    guard call.payload?.count ?? 0 <= noteBytesMax else {
      throw RequestError(.tooLarge, "a note may have \(noteBytesMax) bytes at most")
    }
    let receiver = call.word(2)
    let ttlMs = call.ttlMs(of: receiver)
    try call.run(.handoff, dueInMs: ttlMs) { arguments in
      arguments.word(call.word(0))
      arguments.word(call.word(1))
      arguments.word(receiver)
      arguments.word(LockTTL.text(ofMs: ttlMs))
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.payload)
      arguments.word(orEmpty: call.requestKey)
    }
  }
}
