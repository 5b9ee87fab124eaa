// OPEN: makes a session.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

enum OpenVerb {
  static let verb = Verb(
    name: "OPEN", rights: .write, words: [.device],
    options: [.user, .name, .thread, .phase, .step] + OptionName.clocks + [.fenced, .token, .req],
    payload: .optionalObject,
    summary: "Makes a session, now the device's current one; the payload's members are its fields.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let new = try NewSession(call)
    guard call.option(.user) != nil else {
      try call.run(.open, dueInMs: new.dueInMs) { arguments in
        arguments.word(call.word(0))
        for word in new.words { arguments.word(word) }
        arguments.emptyWord()
        arguments.emptyWord()
        arguments.word(orEmpty: call.number(.token))
        arguments.word(orEmpty: call.requestKey)
      }
      return
    }
    let (partition, device, user) = (call.partition, call.text(0), call.text(.user))
    let (token, req) = (call.numberText(.token), call.requestKeyText)
    try LinkedChange(call, .user(user), dueInMs: new.dueInMs) { isReserved, _ in
      let rest = [user, isReserved ? "yes" : "", token, req]
      return ScriptQuery(.open, at: partition, [device] + new.words + rest)
    }
  }
}
