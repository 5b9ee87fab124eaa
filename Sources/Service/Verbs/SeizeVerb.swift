// SEIZE: takes a lock, whichever agent holds it.

internal import RedisConnection
internal import Scripts
internal import Wire

enum SeizeVerb {
  static let verb = Verb(
    name: "SEIZE", rights: .write, words: [.device, .agent], options: [.ttl, .req],
    summary: "Takes the device's lock, whichever agent holds it, under a new token.",
    replies: ["OK"], writesEvents: true
  ) { (call) throws(RequestError) in
    let ttlMs = call.ttlMs(of: call.word(1))
    try call.run(
      SeizeCall(device: call[0], agent: call[1], ttl: call.lockLength(ms: ttlMs), req: call.req),
      dueInMs: min(ttlMs, WaitQueue.grantMs))
  }
}

/// A request for seize.lua.
struct SeizeCall: ScriptCall {
  static let script = Script.seize
  let device: ArgumentText
  let agent: ArgumentText
  let ttl: LockLength
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(agent)
    words.word(ttl)
    words.word(req)
  }
}
