// Owns: the decision which requests a principal may make and what it may see. Runs on the loop's
// thread.

internal import Access
internal import Events
internal import RedisConnection
internal import Store
package import Wire

extension Principal {
  package static let tokenHasExpired = RequestError(
    .authRequired, "the token has expired: send a new one")

  func require(_ rights: Rights) throws(RequestError) {
    let needed: RightsSet =
      switch rights {
      case .connection, .known: []
      case .read: .read
      case .write: .write
      case .operate: .operate
      }
    guard self.rights.isSuperset(of: needed) else {
      throw RequestError(.forbidden, "this needs the right to \(rights.rawValue)")
    }
  }

  func require(device: UnsafeBufferPointer<UInt8>) throws(RequestError) {
    guard sees(device) else { throw RequestError(.forbidden, "this device is not yours") }
  }

  func require(device: String) throws(RequestError) {
    guard sees(Array(device.utf8)) else {
      throw RequestError(.forbidden, "this device is not yours")
    }
  }

  func require(kind: some StringProtocol, ref: some StringProtocol) throws(RequestError) {
    guard sees(kind: kind, ref: ref) else {
      throw RequestError(.forbidden, "this link is not yours")
    }
  }

  func require(_ reach: Reach) throws(RequestError) {
    switch reach {
    case .shown: break
    case .shownToOperators: try require(Rights.operate)
    case .everyDevice:
      guard seesAllDevices, users == nil else {
        throw RequestError(.forbidden, "this is about all devices and users, and not all are yours")
      }
    }
  }
}

extension Call {
  /// Does what the request asks, if its caller may ask it.
  package func run() throws(RequestError) {
    try authorize(verb)
    try checkFence()
    guard isOfTicket else { return answer("NONE") }
    if arguments.isOfUser, case .session(let lookUp) = verb.userAddress { return try lookUp(self) }
    try verb.run(self)
  }

  /// Refuses what the caller has no right to; without `--auth` everything is allowed.
  ///
  /// Devices and links within a payload are the verb's to check.
  private func authorize(_ verb: Verb) throws(RequestError) {
    guard checksAccess, verb.rights != .connection else { return }
    guard let principal = caller.principal else {
      throw RequestError(.authRequired, "say AUTH and your secret first")
    }
    // Its connection loses it a moment afterwards.
    if let endsAtMs = principal.endsAtMs, context.nowMs >= endsAtMs {
      throw Principal.tokenHasExpired
    }
    if principal.ticket != nil { return try authorizeTicket(verb, principal) }
    try principal.require(verb.rights)
    if verb.words.isEmpty { try principal.require(verb.reach) }
    try authorizeWords(verb, principal)
    try authorizeOptions(verb, principal)
  }

  /// Refuses a ticket's holder what is not about one session.
  private func authorizeTicket(_ verb: Verb, _ principal: Principal) throws(RequestError) {
    if verb.name == "UNWATCH" { return }
    let isOfSession =
      verb.role != nil && !arguments.words.isEmpty && option(.asUser) == nil
      && !word(0).elementsEqual([UInt8(ascii: "*")])
      && !verb.words.dropFirst().contains { $0.kind == .device }
    guard isOfSession else {
      throw RequestError(.forbidden, "a ticket is good for one session, which has to be addressed")
    }
    try principal.require(verb.rights)
  }

  /// Whether the address is that of the caller's ticket, if it has one: no other session is there.
  private var isOfTicket: Bool {
    guard checksAccess, let ticket = caller.principal?.ticket, verb.role != nil else { return true }
    let pieces = word(0).split(separator: UInt8(ascii: "/"))
    return pieces[0].elementsEqual(ticket.device.utf8)
      && (pieces.count < 2 || pieces[1].elementsEqual("current".utf8)
        || pieces[1].elementsEqual(ticket.session.utf8))
  }

  /// Refuses a request that its verb asks for more than its words and options show.
  func require(_ reach: Reach) throws(RequestError) {
    guard checksAccess, let principal = caller.principal else { return }
    try principal.require(reach)
  }

  /// Refuses a request that needs another right than its verb does.
  func require(_ rights: Rights) throws(RequestError) {
    guard checksAccess, let principal = caller.principal else { return }
    try principal.require(rights)
  }

  /// Whether its caller's links are those of some users alone, who may change no others'.
  var isOfSomeUsers: Bool { checksAccess && caller.principal?.users != nil }

  /// The user to whom a session is linked that this request makes, or looks for; nil if to none.
  ///
  /// As asked; or the only one to whose sessions the request is limited.
  func userOfSession() throws(RequestError) -> String? {
    guard let users else { return option(.user).map { _ in text(.user) } }
    if option(.user) != nil {
      guard users.has(text(.user)) else {
        throw RequestError(.badRequest, "user= and as= name two users: leave one of them out")
      }
      return text(.user)
    }
    if links.contains(where: { $0.kind == "user" && users.has($0.ref) }) { return nil }
    guard let user = users.onlyUser else {
      throw RequestError(
        .badRequest, "user= is missing: your links are those of several users, so name one")
    }
    return user
  }

  /// The user to whom a session that comes with these links is to be linked as well; nil if to
  /// none.
  ///
  /// As asked; or, where none of the users is among the links to whose sessions the request is
  /// limited, the only one of these.
  func userToLink(_ links: [LinkName]) throws(RequestError) -> String? {
    if option(.owner) != nil {
      let user = text(.owner)
      return links.contains(.user(user)) ? nil : user
    }
    guard let users, !links.contains(where: { $0.kind == "user" && users.has($0.ref) }) else {
      return nil
    }
    guard let user = users.onlyUser else {
      throw RequestError(
        .badRequest, "user= is missing: your links are those of several users, so name one")
    }
    return user
  }

  /// Refuses what a payload names and its caller may not use.
  func authorize(device: String, links: [LinkName]) throws(RequestError) {
    guard checksAccess else { return }
    guard let principal = caller.principal else {
      throw RequestError(.authRequired, "say AUTH and your secret first")
    }
    try principal.require(device: device)
    for link in links { try principal.require(kind: link.kind, ref: link.ref) }
  }

  private func authorizeWords(_ verb: Verb, _ principal: Principal) throws(RequestError) {
    let rules = verb.words.dropFirst(arguments.isOfUser ? 1 : 0)
    for index in arguments.words.indices {
      switch rules[rules.startIndex + min(index, rules.count - 1)].kind {
      case .device: try principal.require(device: device(ofWord: index))
      case .address: try authorizeAddress(principal)
      case .addressOrAll where word(index).first != UInt8(ascii: "*") || word(index).count > 1:
        try authorizeAddress(principal)
      case .deviceOrAll, .addressOrAll, .listed: try authorize(scope: word(index), verb, principal)
      case .linkRef: try principal.require(kind: text(index - 1), ref: text(index))
      case .group: try principal.require(Reach.everyDevice)
      case .linkKind, .id, .agent, .text, .duration, .integer, .oneOf, .someOf: break
      }
    }
  }

  /// The address, which is the first word: on a device that a caller of some users does not see it
  /// may name a session that is shared with them, which Redis decides.
  private func authorizeAddress(_ principal: Principal) throws(RequestError) {
    let device = device
    guard !principal.sees(device) else { return }
    let isNamed = address.named.map { $0.string != "current" } ?? false
    guard principal.users == nil || !isNamed else { return }
    try principal.require(device: device)
  }

  /// A device, `*`, or the link of a LIST.
  private func authorize(
    scope: UnsafeBufferPointer<UInt8>, _ verb: Verb, _ principal: Principal
  ) throws(RequestError) {
    if scope.elementsEqual([UInt8(ascii: "*")]) {
      try principal.require(verb.reach)
    } else if let equals = scope.firstIndex(of: UInt8(ascii: "=")) {
      try principal.require(
        kind: String(decoding: scope[..<equals], as: UTF8.self),
        ref: String(decoding: scope[(equals + 1)...], as: UTF8.self))
    } else {
      try principal.require(device: scope)
    }
  }

  private func authorizeOptions(_ verb: Verb, _ principal: Principal) throws(RequestError) {
    for option in verb.options where arguments[option] != nil {
      switch option.reach {
      case .nothing: break
      case .user: try principal.require(kind: "user", ref: text(option))
      case .device: try principal.require(device: text(option))
      case .everyDevice: try principal.require(Reach.everyDevice)
      }
    }
    for link in links { try principal.require(kind: link.kind, ref: link.ref) }
  }
}
