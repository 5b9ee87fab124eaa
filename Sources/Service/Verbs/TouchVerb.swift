// TOUCH: notes activity; cheap, meant for every keystroke.

internal import RedisConnection
internal import Scripts
internal import Wire

enum TouchVerb {
  static let verb = Verb(
    name: "TOUCH", rights: .write, words: [.session],
    options: [.token, .req],
    summary: "Notes activity; cheap, meant for every keystroke.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(.touch) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.requestKey)
    }
  }
}
