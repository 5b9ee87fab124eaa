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
    let new = try NewSession(call, user: call.option(.user).map { _ in call.text(.user) })
    guard !new.links.isEmpty else {
      try call.run(.open, dueInMs: new.dueInMs) { arguments in
        arguments.word(call.word(0))
        for word in new.words() { arguments.word(word) }
        arguments.word(orEmpty: call.number(.token))
        arguments.word(orEmpty: call.requestKey)
      }
      return
    }
    let (partition, device) = (call.partition, call.text(0))
    let last = [call.numberText(.token), call.requestKeyText]
    try LinkedChange(call, dueInMs: new.dueInMs) { reservations in
      ScriptQuery(.open, at: partition, [device] + new.words(reservations) + last)
    }
  }
}
