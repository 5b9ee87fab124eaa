// LINK and UNLINK: a session's relations to users, tags and more.

internal import RedisConnection
internal import Scripts
internal import Store
internal import Wire

enum LinkVerb {
  static let verb = Verb(
    name: "LINK", rights: .write, words: [.session, .kind, .ref], options: [.token, .turn, .req],
    summary: "Links a session to a user, a tag, or whatever else the kind names.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    let link = LinkCall(
      device: address.device.kept, session: address.session?.kept, kind: call[1].kept,
      ref: call[2].kept, token: call.fence, req: call.req)
    try LinkedChange(call, link)
  }
}

enum UnlinkVerb {
  static let verb = Verb(
    name: "UNLINK", rights: .write, words: [.session, .kind, .ref], options: [.token, .turn, .req],
    summary: "Takes a link away.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(
      UnlinkCall(
        device: address.device, session: address.session, kind: call[1], ref: call[2],
        token: call.fence, req: call.req))
  }
}

/// A request for unlink.lua.
struct UnlinkCall: ScriptCall {
  static let script = Script.unlink
  let device: ArgumentText
  let session: ArgumentText?
  let kind: ArgumentText
  let ref: ArgumentText
  let token: Fence?
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

/// A request for link.lua.
struct LinkCall: LinkingCall {
  static let script = Script.link
  let device: ArgumentText
  var session: ArgumentText?
  let kind: ArgumentText
  let ref: ArgumentText
  var reserved: ArgumentText?
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(kind)
    words.word(ref)
    words.word(reserved)
    words.word(token)
    words.word(req)
  }

  mutating func take(_ reservations: Reservations) {
    if let found = reservations.session { session = session.readdressed(to: found) }
    reserved = ArgumentText(reservations.text)
  }
}
