// RECOVER: a paused or abandoned session becomes active again.

internal import RedisLink
internal import Scripts
internal import Wire

enum RecoverVerb {
  static let verb = Verb(
    name: "RECOVER", rights: .write, words: [.session],
    options: [.hint, .name, .thread, .phase, .step] + OptionName.clocks
      + [.fenced, .token, .req],
    payload: .optionalObject,
    summary: "Makes a paused or abandoned session active; with a device alone, the best one.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    guard address.session == nil else {
      try call.run(.recover, dueInMs: 0) { arguments in
        arguments.word(address.device)
        arguments.word(orEmpty: address.session)
        arguments.word(orEmpty: call.number(.token))
        arguments.word(orEmpty: call.option(.req))
      }
      return
    }
    let new = try NewSession(call)
    try call.run(.recoverLatest, dueInMs: 0) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: call.option(.hint))
      arguments.word(new.id)
      arguments.word(new.thread)
      arguments.word(new.clocks)
      arguments.word(new.isFenced ? "yes" : "no")
      arguments.word(new.members.parts.bytes)
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.option(.req))
    }
  }
}
