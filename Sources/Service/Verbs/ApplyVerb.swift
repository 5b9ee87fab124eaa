// APPLY: several changes of one session in one step.

internal import RedisConnection
internal import Scripts
internal import Wire

enum ApplyVerb {
  static let verb = Verb(
    name: "APPLY", rights: .write, words: [.chat],
    options: [.seq, .rev, .token, .turn, .req], payload: .object,
    limits: SessionChanges.limits,
    summary: "Applies several changes of a session in one step, all or none of them.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    let changes = try SessionChanges(call)
    try call.run(
      ApplyCall(
        device: address.device, session: address.session, chat: address.chat,
        seen: call.number(.seq), seenRev: call.number(.rev),
        messages: .owned(changes.messages.bytes), members: .owned(changes.memberParts.bytes),
        puts: .owned(changes.puts.bytes), drops: .owned(changes.drops.bytes), token: call.fence,
        req: call.req))
  }
}

/// A request for apply.lua.
struct ApplyCall: ScriptCall {
  static let script = Script.apply
  let device: ArgumentText
  let session: ArgumentText?
  let chat: ArgumentText?
  let seen: Int64?
  let seenRev: Int64?
  let messages: ArgumentText?
  let members: ArgumentText?
  let puts: ArgumentText?
  let drops: ArgumentText?
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(chat)
    words.word(seen)
    words.word(seenRev)
    words.word(messages)
    words.word(members)
    words.word(puts)
    words.word(drops)
    words.word(token)
    words.word(req)
  }
}
