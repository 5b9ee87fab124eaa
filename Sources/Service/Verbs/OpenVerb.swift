// OPEN: makes a session.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

enum OpenVerb {
  static let verb = Verb(
    name: "OPEN", rights: .write, words: [.device],
    options: [.user, .name, .thread, .phase, .step, .policyName] + OptionName.clocks + [
      .expiresAt, .fenced, .chat, .token, .turn, .req, .asUser,
    ],
    linkOption: "link", payload: .optionalObject, limits: JSONLimits(members: Members.limit),
    summary: "Makes a session, now the device's current one; the payload's members are its fields.",
    replies: ["OK", "NONE", "STALE"], writesEvents: true
  ) { (call) throws(RequestError) in
    let new = try NewSession(call, user: try call.userOfSession())
    let open = OpenCall(
      device: call[0].kept, fleet: call.fleet, token: call.fence, new: new, req: call.req)
    if new.links == nil {
      try call.run(open)
    } else {
      try LinkedChange(call, open)
    }
  }
}

/// A request for open.lua.
struct OpenCall: LinkingCall {
  static let script = Script.open
  let device: ArgumentText
  let fleet: ArgumentText?
  var reserved: ArgumentText?
  let token: Fence?
  let new: NewSession
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(fleet)
    words.word(reserved)
    words.word(token)
    new.write(to: &words)
    words.word(req)
  }
}
