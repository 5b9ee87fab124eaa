// DONE: ends a turn, with its last changes.

internal import RedisConnection
internal import Scripts
internal import Wire

enum DoneVerb {
  static let verb = Verb(
    name: "DONE", rights: .write, words: [.device],
    options: [.turn, .phase, .step, .seen, .isLast, .req, .asUser], required: [.turn],
    payload: .optionalObject, limits: SessionChanges.limits,
    summary: "Applies a turn's last changes and ends it, unless messages were joined meanwhile.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let changes = try SessionChanges(call)
    try call.run(
      DoneCall(
        device: call[0], users: call.usersText, turn: call.number(.turn) ?? 0,
        seen: call.number(.seen),
        isLast: call.text(.isLast) == "yes", messages: .owned(changes.messages.bytes),
        members: .owned(changes.memberParts.bytes), puts: .owned(changes.puts.bytes),
        drops: .owned(changes.drops.bytes), req: call.req),
      dueInMs: WaitQueue.grantMs)
  }
}

/// A request for done.lua.
struct DoneCall: ScriptCall {
  static let script = Script.done
  let device: ArgumentText
  /// Those to whose sessions the request is limited.
  let users: ArgumentText?
  let turn: Int64
  let seen: Int64?
  let isLast: Bool
  let messages: ArgumentText?
  let members: ArgumentText?
  let puts: ArgumentText?
  let drops: ArgumentText?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(users)
    words.word(turn)
    words.word(seen)
    words.word(isLast)
    words.word(messages)
    words.word(members)
    words.word(puts)
    words.word(drops)
    words.word(req)
  }
}
