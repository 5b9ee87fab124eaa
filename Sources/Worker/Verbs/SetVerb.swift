// SET: merges members into a session.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Wire

enum SetVerb {
  static let verb = Verb(
    name: "SET", rights: .write, words: [.session],
    options: [.user, .name, .phase, .step, .rev, .token, .req], payload: .optionalObject,
    summary: "Merges members into a session; null removes one.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    let members = try Members(call)
    guard call.option(.user) != nil else {
      try call.run(.set) { arguments in
        arguments.word(address.device)
        arguments.word(orEmpty: address.session)
        arguments.word(members.parts.bytes)
        arguments.word(orEmpty: call.number(.rev))
        arguments.emptyWord()
        arguments.emptyWord()
        arguments.word(orEmpty: call.number(.token))
        arguments.word(orEmpty: call.requestKey)
      }
      return
    }
    let (partition, device, user) = (call.partition, address.deviceText, call.text(.user))
    let first = [
      String(decoding: members.parts.bytes, as: UTF8.self), call.numberText(.rev), user,
    ]
    let last = [call.numberText(.token), call.requestKeyText]
    let asked = address.sessionText
    try LinkedChange(call, .user(user), dueInMs: nil) { isReserved, session in
      let place = isReserved ? "yes" : ""
      return ScriptQuery(
        .set, at: partition, [device, session ?? asked] + first + [place] + last)
    }
  }
}
