// SET: merges members into a session.

internal import RedisLink
internal import Scripts
internal import Wire

enum SetVerb {
  static let verb = Verb(
    name: "SET", rights: .write, words: [.session],
    options: [.name, .phase, .step, .rev, .token, .req], payload: .optionalObject,
    summary: "Merges members into a session; null removes one.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    var members = Members()
    for (name, option) in [("name", OptionName.name), ("phase", .phase), ("step", .step)] {
      if let json = call.json(option) { members.set(name.utf8, json) }
    }
    if let payload = call.payload { try members.add(payload: payload) }
    try call.run(.set) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
      arguments.word(members.parts.bytes)
      arguments.word(orEmpty: call.number(.rev))
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.option(.req))
    }
  }
}
