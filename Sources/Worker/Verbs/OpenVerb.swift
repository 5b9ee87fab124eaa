// OPEN: makes a session.

internal import Loop
internal import RedisLink
internal import Scripts
internal import SessionModel
internal import Wire

enum OpenVerb {
  static let verb = Verb(
    name: "OPEN", rights: .write, words: [.device],
    options: [.name, .thread, .phase, .step] + OptionName.clocks + [.fenced, .token, .req],
    payload: .optionalObject,
    summary: "Makes a session, now the device's current one; the payload's members are its fields.",
    replies: ["OK", "STALE"]
  ) { (call) throws(RequestError) in
    let new = try NewSession(call)
    try call.run(.open, dueInMs: new.dueInMs) { arguments in
      arguments.word(call.word(0))
      arguments.word(new.id)
      arguments.word(new.thread)
      arguments.word(new.clocks)
      arguments.word(new.isFenced ? "yes" : "no")
      arguments.word(new.members.parts.bytes)
      arguments.word(orEmpty: call.number(.token))
      arguments.word(orEmpty: call.option(.req))
    }
  }
}

/// What OPEN, and RECOVER where nothing can be recovered, make a session from.
struct NewSession {
  let id: String
  /// JSON.
  let thread: [UInt8]
  /// In ms, in the order in which a record keeps them.
  let clocks: String
  let isFenced: Bool
  let members: Members
  /// When the first of its clocks does anything; nil if none runs.
  let dueInMs: Int64?

  init(_ call: borrowing Call) throws(RequestError) {
    id = SessionID.make(
      ms: WallTime.nowMs(), high: .random(in: 0 ... .max), low: .random(in: 0 ... .max))
    thread = call.json(.thread) ?? Array("\"\(id)\"".utf8)
    let defaults = call.server.settings.clocks.inOrder
    var clocks: [Int64] = []
    for (option, ms) in zip(OptionName.clocks, defaults) {
      clocks.append(call.number(option) ?? ms)
    }
    self.clocks = clocks.map(String.init).joined(separator: " ")
    dueInMs = NewSession.firstDue(clocks)
    isFenced = call.option(.fenced)?.elementsEqual("yes".utf8) ?? false
    var members = Members()
    for (name, option) in [("name", OptionName.name), ("phase", .phase), ("step", .step)] {
      if let json = call.json(option) { members.set(name.utf8, json) }
    }
    if let payload = call.payload { try members.add(payload: payload) }
    self.members = members
  }

  private static func firstDue(_ clocks: [Int64]) -> Int64? {
    let (idle, abandon, life, warn) = (clocks[0], clocks[1], clocks[3], clocks[5])
    let warned = [idle, life].map { $0 > warn ? $0 - warn : $0 }
    return (warned + [abandon]).filter { $0 > 0 }.min()
  }
}
