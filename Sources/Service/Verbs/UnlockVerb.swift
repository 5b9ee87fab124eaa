// UNLOCK: the holder gives its lock back.

internal import RedisConnection
internal import Scripts
internal import Wire

enum UnlockVerb {
  static let verb = Verb(
    name: "UNLOCK", rights: .write, words: [.device, .agent], options: [.token, .req],
    summary: "Frees the device's lock, if this agent holds it.",
    replies: ["OK", "NONE", "HELD", "STALE"]
  ) { (call) throws(RequestError) in
    try call.run(
      UnlockCall(device: call[0], agent: call[1], token: call.number(.token), req: call.req),
      dueInMs: WaitQueue.grantMs)
  }
}

/// A request for unlock.lua.
struct UnlockCall: ScriptCall {
  static let script = Script.unlock
  let device: ArgumentText
  let agent: ArgumentText
  let token: Int64?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(agent)
    words.word(token)
    words.word(req)
  }
}
