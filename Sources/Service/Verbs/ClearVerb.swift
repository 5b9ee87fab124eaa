// CLEAR: the operator frees a lock, whichever agent holds it.

internal import RedisConnection
internal import Scripts
internal import Wire

enum ClearVerb {
  static let verb = Verb(
    name: "CLEAR", rights: .operate, words: [.device], options: [.req],
    summary: "Frees the device's lock, whichever agent holds it; for operators.",
    replies: ["OK", "NONE"], writesEvents: true
  ) { (call) throws(RequestError) in
    try call.run(ClearCall(device: call[0], req: call.req), dueInMs: WaitQueue.grantMs)
  }
}

/// A request for clear.lua.
struct ClearCall: ScriptCall {
  static let script = Script.clear
  let device: ArgumentText
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(req)
  }
}
