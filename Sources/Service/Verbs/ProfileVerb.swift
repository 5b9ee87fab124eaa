// PROFILE: the fields that belong to a user, or to another link, and not to one session.

internal import Access
internal import Events
internal import RedisConnection
internal import Scripts
internal import Settings
internal import Store
internal import Wire

enum ProfileVerb {
  static let verb = Verb(
    name: "PROFILE", rights: .read, words: [.link], options: [.rev, .req],
    payload: .optionalObject, limits: JSONLimits(members: Members.limit),
    summary: "The fields of a user, or of another link; merges the payload's members into them.",
    replies: ["OK", "STALE"]
  ) { (call) throws(RequestError) in
    let link = try link(call)
    guard let payload = call.payload else {
      try refuseMore(call)
      try ProfileRead(call, link)
      return
    }
    try call.require(.write)
    let settings = call.shared.settings
    var members = Members()
    try members.add(payload: payload, bytesMax: settings.valueBytesMax)
    let change = SetProfileCall(
      device: ArgumentText(link.text),
      members: .owned(members.parts(Sealer(call.shared.seal, of: link.text.utf8)).bytes),
      seenRev: call.number(.rev), keepMs: settings.profileKeepMs, req: call.req)
    try call.forward(ScriptQuery(change, at: link.partition))
  }

  /// The link of the first word; a device, or a thread, has no profile.
  private static func link(_ call: borrowing Call) throws(RequestError) -> LinkName {
    let parts = call.text(0).split(separator: "=", maxSplits: 1).map(String.init)
    guard parts.count == 2, !LinkKind.isReserved(parts[0]) else {
      throw RequestError(
        .badRequest, "PROFILE is of a link, such as user=ada: \(verb.usage)")
    }
    return LinkName(kind: parts[0], ref: parts[1])
  }

  /// Refuses options of a change where nothing is changed.
  private static func refuseMore(_ call: borrowing Call) throws(RequestError) {
    for option in [OptionName.rev, .req] where call.option(option) != nil {
      throw RequestError(.badRequest, "\(option.text)= goes with a payload, which is merged")
    }
  }
}

/// A request for set_profile.lua.
struct SetProfileCall: ScriptCall {
  static let script = Script.setProfile
  /// The link, as Redis has it.
  let device: ArgumentText
  let members: ArgumentText?
  let seenRev: Int64?
  let keepMs: Int64
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(members)
    words.word(seenRev)
    words.word(keepMs)
    words.word(req)
  }
}
