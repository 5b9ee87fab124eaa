// TOUCH: notes activity; cheap, meant for every keystroke.

internal import RedisConnection
internal import Scripts
internal import Wire

enum TouchVerb {
  static let verb = Verb(
    name: "TOUCH", rights: .write, words: [.session],
    options: [.token, .turn, .req], userAddress: .session(UserLookup.run),
    summary: "Notes activity; cheap, meant for every keystroke.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(
      TouchCall(
        device: address.device, session: address.session, token: call.fence,
        req: call.req))
  }
}

/// A request for touch.lua.
struct TouchCall: ScriptCall {
  static let script = Script.touch
  let device: ArgumentText
  let session: ArgumentText?
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(token)
    words.word(req)
  }
}
