// Owns: what OPEN, and RECOVER where nothing can be recovered, make a session from. A value; on the
// loop's thread.

internal import Access
internal import RedisConnection
internal import Scripts
internal import Seal
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

/// A session that is to be made: the parameters NEW of session_create.lua, in their order.
struct NewSession {
  /// Its id, and behind it the users to whose sessions the request is limited.
  let session: ArgumentText
  /// JSON; the session's own id without `thread=`.
  let thread: ArgumentText
  /// Those that it begins with, its thread included, each a line; each is reserved before it is
  /// made.
  let links: ArgumentText?
  /// Their lengths in ms, in the order in which a record keeps them.
  let clocks: ArgumentText
  let isFenced: Bool
  /// Parts, names and values in turn; the last may be `chat`, the first chat's name or `none`.
  let members: ArgumentText
  /// Its policy as records keep it; nil without one.
  let sessionPolicy: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(session)
    words.word(thread)
    words.word(links)
    words.word(clocks)
    words.word(isFenced)
    words.word(members)
    words.word(sessionPolicy)
  }
}

/// The parts of a new session whose id and device are not known yet.
struct SessionPlan {
  private let users: String
  private let thread: ArgumentText?
  private let links: ArgumentText?
  private let clocks: ArgumentText
  private let isFenced: Bool
  private let members: Members
  private let sessionPolicy: ArgumentText?
  private let seal: Seal?

  /// From the options, with these members; `user` as for a new session.
  init(_ call: borrowing Call, user: String?, _ members: Members) throws(RequestError) {
    var members = members
    if let name = call.json(.chat) {
      members.set("chat".utf8, call.text(.chat) == "none" ? Array("none".utf8) : name)
    }
    let policy = try call.policy
    let general = call.shared.settings.clocks
    let clocks = try call.clockWords(over: policy?.clocks(over: general) ?? general)
    let own = (user.map { [LinkName.user($0)] } ?? []) + call.links
    try call.checkLinks(own)
    let links = own + (call.option(.thread).map { [.thread($0)] } ?? [])
    users = call.users?.text ?? ""
    thread = call.quoted(.thread)
    self.links = links.isEmpty ? nil : ArgumentText(links.map(\.line).joined())
    self.clocks = ArgumentText(clocks.joined(separator: " "))
    isFenced = call.option(.fenced)?.elementsEqual("yes".utf8) ?? false
    self.members = members
    sessionPolicy = policy.map { ArgumentText($0.line) }
    seal = call.shared.seal
  }

  /// The session of this id, with its values sealed for its device.
  func session(_ id: String, on device: some Sequence<UInt8>) -> NewSession {
    NewSession(
      session: ArgumentText(id + users), thread: thread ?? ArgumentText("\"\(id)\""),
      links: links, clocks: clocks, isFenced: isFenced,
      members: .owned(members.parts(Sealer(seal, of: device)).bytes),
      sessionPolicy: sessionPolicy)
  }
}

extension NewSession {
  /// From the options and the payload of OPEN or RECOVER; `user` is the user that it is linked to,
  /// nil without one.
  init(_ call: borrowing Call, user: String?) throws(RequestError) {
    try self.init(call, user: user, Members(call))
  }

  /// From the options, with these members.
  init(_ call: borrowing Call, user: String?, _ members: Members) throws(RequestError) {
    let id = call.context.nextSessionID(mark: SessionID.mark(ofDevice: call.device))
    self = try SessionPlan(call, user: user, members).session(id, on: call.device)
  }

  /// The options of OPEN that say which session is looked for, or how the request is made; all
  /// others make the session.
  private static let general: Set<OptionName> = [
    .user, .thread, .token, .turn, .req, .asUser,
  ]

  /// The options that only a new session takes: those of OPEN, its `policy=` under both of its
  /// names.
  static let options = OpenVerb.verb.options.filter { !general.contains($0) }
    .flatMap { $0 == .policyName ? [$0, .sessionPolicy] : [$0] }

  /// The options for a new session that an existing one ignores, as JSON; nil if there are none.
  ///
  /// `more` names other parts of the request that it ignores.
  static func ignored(_ call: borrowing Call, more: [String] = []) -> ArgumentText? {
    var kinds: [String] = []
    for link in call.links where !kinds.contains("link.\(link.kind)") {
      kinds.append("link.\(link.kind)")
    }
    let names = options.filter { call.option($0) != nil }.map(\.text) + kinds + more
    return names.isEmpty ? nil : ArgumentText("[\"\(names.joined(separator: "\",\""))\"]")
  }
}

extension Call {
  /// Refuses links that a session cannot have: of the same kind twice, or too many.
  func checkLinks(_ links: [LinkName]) throws(RequestError) {
    guard Set(links).count == links.count else {
      throw RequestError(.badRequest, "a link stands there twice: \(verb.usage)")
    }
    let most = shared.settings.linksMax
    guard links.count <= most else { throw .quota(links.count, of: most, "links of this session") }
    let (bytes, bytesMax) = (
      links.reduce(0) { $0 + $1.line.utf8.count }, ScriptConstants.linkBytesMax
    )
    guard bytes <= bytesMax else {
      throw .quota(bytes, of: bytesMax, "bytes of links of this session")
    }
  }

  /// Refuses `link.user=` where `user=` says whose session is looked for.
  func refuseLinkedUsers() throws(RequestError) {
    guard links.contains(where: { $0.kind == "user" }) else { return }
    throw RequestError(.badRequest, "link.user= goes with OPEN and SET; say user= here")
  }

  /// The policy that the request names; nil without one.
  var policy: SessionPolicy? {
    get throws(RequestError) {
      guard
        let option = [OptionName.policyName, .sessionPolicy].first(where: { option($0) != nil })
      else { return nil }
      let name = text(option)
      guard let policy = shared.settings.policies[name] else {
        throw RequestError(
          .badRequest, "\(option.text)=\(name.prefix(64)): this worker has no such --policy")
      }
      return policy
    }
  }

  /// A word for each clock in the order of records: the length that the request asks for, or else
  /// the general one, in ms; for a life that ends at a moment `@` and the moment.
  func clockWords(over general: SessionClocks) throws(RequestError) -> [String] {
    try clockWords { "\(general[$0])" }
  }

  /// The same; `general` gives the word where the request asks for none.
  func clockWords(_ general: (SessionClock) -> String) throws(RequestError) -> [String] {
    guard option(.life) == nil || option(.expiresAt) == nil else {
      throw RequestError(.badRequest, "life= and expires_at= exclude each other")
    }
    return SessionClock.allCases.map { clock in
      if clock == .life, let at = number(.expiresAt) { return "@\(at)" }
      return number(clock.option).map { "\($0)" } ?? general(clock)
    }
  }
}
