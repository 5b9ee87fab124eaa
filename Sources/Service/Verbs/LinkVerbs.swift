// LINK and UNLINK: a session's relations to users, tags and more.

internal import RedisConnection
internal import Scripts
internal import Store
internal import Wire

enum LinkVerb {
  static let verb = Verb(
    name: "LINK", rights: .write, words: [.session, .kind, .ref], options: [.token, .req],
    summary: "Links a session to a user, a tag, or whatever else the kind names.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let (partition, address) = (call.partition, call.address)
    let (device, asked) = (address.deviceText, address.sessionText)
    let link = LinkName(kind: call.text(1), ref: call.text(2))
    let last = [call.numberText(.token), call.requestKeyText]
    try LinkedChange(call, dueInMs: nil) { reservations in
      let session = reservations.session ?? asked
      let first = [device, session, link.kind, link.ref, reservations.text]
      return ScriptQuery(.link, at: partition, first + last)
    }
  }
}

enum UnlinkVerb {
  static let verb = Verb(
    name: "UNLINK", rights: .write, words: [.session, .kind, .ref], options: [.token, .req],
    summary: "Takes a link away.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(.unlink) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
      arguments.word(call.word(1))
      arguments.word(call.word(2))
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.requestKey)
    }
  }
}
