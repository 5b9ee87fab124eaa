// SHARE and UNSHARE: which other users may reach a session, and in which role.

internal import Access
internal import RedisConnection
internal import Scripts
internal import Wire

enum ShareVerb {
  static let verb = Verb(
    name: "SHARE", rights: .write, words: [.session],
    options: [.sharedUser, .sharedRole, .until, .token, .turn, .req], required: [.sharedUser],
    summary: "Gives another user a role in a session, for good or for a time.", role: .own,
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(
      ShareCall(
        device: address.device, session: address.session,
        user: ArgumentText(call.text(.sharedUser)),
        role: call[.sharedRole] ?? ArgumentText(SessionRole.read.rawValue),
        lengthMs: call.number(.until), token: call.fence, req: call.req))
  }
}

enum UnshareVerb {
  static let verb = Verb(
    name: "UNSHARE", rights: .write, words: [.session],
    options: [.sharedUser, .tickets, .token, .turn, .req],
    summary: "Takes a user's role in a session away, or ends all tickets for it.", role: .own,
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    guard call.option(.sharedUser) != nil || call.option(.tickets) != nil else {
      throw RequestError(.badRequest, "user= or tickets=all is missing: \(call.verb.usage)")
    }
    let address = call.address
    try call.run(
      UnshareCall(
        device: address.device, session: address.session, user: call[.sharedUser],
        endsTickets: call.option(.tickets) != nil, token: call.fence, req: call.req))
  }
}

/// A request for share.lua.
struct ShareCall: ScriptCall {
  static let script = Script.share
  let device: ArgumentText
  let session: ArgumentText?
  let user: ArgumentText
  let role: ArgumentText
  let lengthMs: Int64?
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(user)
    words.word(role)
    words.word(lengthMs)
    words.word(token)
    words.word(req)
  }
}

/// A request for unshare.lua.
struct UnshareCall: ScriptCall {
  static let script = Script.unshare
  let device: ArgumentText
  let session: ArgumentText?
  let user: ArgumentText?
  let endsTickets: Bool
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(user)
    words.word(endsTickets)
    words.word(token)
    words.word(req)
  }
}
