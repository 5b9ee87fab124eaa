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
    try call.run(
      UnlinkCall(
        device: address.device, session: address.session, kind: call[1], ref: call[2],
        token: call.number(.token), req: call.req))
  }
}

/// A request for unlink.lua.
struct UnlinkCall: ScriptCall {
  static let script = Script.unlink
  let device: ArgumentText
  let session: ArgumentText?
  let kind: ArgumentText
  let ref: ArgumentText
  let token: Int64?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(kind)
    words.word(ref)
    words.word(token)
    words.word(req)
  }
}
