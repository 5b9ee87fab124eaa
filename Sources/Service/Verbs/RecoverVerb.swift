// RECOVER: a paused, abandoned or archived session becomes active again.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

enum RecoverVerb {
  /// Those of the options that a session which is named has no use for: of the search, and of a
  /// session to be made if there is none.
  private static let ofDevice: [OptionName] =
    [.hint, .user, .name, .thread, .phase, .step, .policyName] + OptionName.clocks
    + [.expiresAt, .fenced, .chat]

  static let verb = Verb(
    name: "RECOVER", rights: .write, words: [.session],
    options: [.archived, .on] + ofDevice + [.token, .turn, .req],
    linkOption: "link", userAddress: .session(recoverOfUser), payload: .optionalObject,
    limits: JSONLimits(members: Members.limit),
    summary: "Makes a paused or abandoned session active; with a device alone, the best one.",
    replies: ["OK", "NONE", "STALE"], writesEvents: true
  ) { (call) throws(RequestError) in
    let address = call.address
    guard call.option(.on) == nil else {
      throw RequestError(
        .badRequest, "on= goes with RECOVER user=ID, which has no address: \(call.verb.usage)")
    }
    guard address.named == nil else {
      try refuseMore(call)
      let recover = RecoverCall(
        device: address.device.kept, session: address.session?.kept,
        allowsArchived: call.text(.archived) == "yes", fleet: call.fleet, token: call.fence,
        req: call.req)
      try LinkedChange(call, recover)
      return
    }
    guard call.option(.archived) == nil else {
      throw RequestError(
        .badRequest, "archived= goes with RECOVER of a session, not of a device")
    }
    try recoverLatest(call)
  }

  /// Refuses options for a new session where one is named: they would have no effect on it.
  private static func refuseMore(_ call: borrowing Call) throws(RequestError) {
    if let option = ofDevice.first(where: { call.option($0) != nil }) {
      throw RequestError(
        .badRequest, "\(option.text)= goes with RECOVER of a device, not of a session")
    }
    if let link = call.links.first {
      throw RequestError(
        .badRequest, "link.\(link.kind)= goes with RECOVER of a device, not of a session")
    }
    guard call.payload == nil else {
      throw RequestError(
        .badRequest, "a payload goes with RECOVER of a device, not of a session")
    }
  }

  /// `user=` in place of the address: the latest session on any device.
  @Sendable private static func recoverOfUser(_ call: borrowing Call) throws(RequestError) {
    for option in [OptionName.archived, .hint] where call.option(option) != nil {
      throw RequestError(
        .badRequest, "\(option.text)= goes with an address, not with user= alone")
    }
    guard call.option(.on) != nil else {
      throw RequestError(
        .badRequest,
        "missing option on=, the device of a new session if there is none: \(call.verb.usage)")
    }
    try call.refuseLinkedUsers()
    try UserRecovery.run(call)
  }

  private static func recoverLatest(_ call: borrowing Call) throws(RequestError) {
    try call.refuseLinkedUsers()
    let (device, hint) = (call.text(0), call.text(.hint))
    let new = try NewSession(call, user: try call.userOfSession())
    var recover = RecoverLatestCall(
      device: call[0].kept, hint: call[.hint]?.kept, isElsewhere: false, ofUser: nil,
      ignored: NewSession.ignored(call, more: call.payload == nil ? [] : ["payload"]),
      fleet: call.fleet, token: call.fence, new: new, req: call.req)
    let mark = call.option(.hint).flatMap { SessionID.mark(of: $0) }
    let isOfOther = mark.map { $0 != SessionID.mark(ofDevice: call.device) } ?? false
    let mayAsk = call.users == nil
    guard let mark, isOfOther, mayAsk else {
      let request = try HeldRequest(call, batchedFor: device)
      LinkedChange(request, recover, device, isSearch: true)
      return
    }
    let request = try HeldRequest(call)
    HintSearch.run(request, hint, in: Partition(mark: mark)) { isElsewhere in
      recover.isElsewhere = isElsewhere
      LinkedChange(request, recover, device, isSearch: true)
    }
  }
}

/// Looks whether a hint is a session of another device.
///
/// A session's id says which partition it was made for; in that one the sessions are gone through,
/// since no key says of which device a session is. That happens only for a hint that was made for
/// another device.
private enum HintSearch {
  /// Entries read in one call.
  private static let rowsMax = 1_000
  /// So many calls; a session that was not found by then counts as there, as its id says.
  private static let callsMax = 16

  static func run(
    _ request: HeldRequest, _ session: String, in partition: Partition, after: String? = nil,
    callsLeft: Int = callsMax, _ done: @escaping (_ isElsewhere: Bool) -> Void
  ) {
    guard callsLeft > 0, !request.isOver else { return done(true) }
    let page = SessionPageCall(from: after.map { ArgumentText($0) }, limit: Int64(rowsMax))
    let query = ScriptQuery(page, at: partition)
    request.read(query) { rows in
      let entries = SessionEntry.texts(in: rows[0])
      if let found = entries.first(where: { $0.hasSuffix("/\(session)") }) {
        return done(SessionEntry(address: found).map { request.maySee($0.device) } ?? false)
      }
      guard entries.count == rowsMax, let last = entries.last else { return done(false) }
      run(
        request, session, in: partition, after: String(last), callsLeft: callsLeft - 1, done)
    }
  }
}

/// A request for recover.lua.
struct RecoverCall: LinkingCall {
  static let script = Script.recover
  let device: ArgumentText
  var session: ArgumentText?
  let allowsArchived: Bool
  let fleet: ArgumentText?
  var reserved: ArgumentText?
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(allowsArchived)
    words.word(fleet)
    words.word(reserved)
    words.word(token)
    words.word(req)
  }

  mutating func take(_ reservations: Reservations) {
    if let found = reservations.session { session = session.readdressed(to: found) }
    reserved = ArgumentText(reservations.text)
  }
}

/// A request for recover_latest.lua.
struct RecoverLatestCall: LinkingCall {
  static let script = Script.recoverLatest
  let device: ArgumentText
  let hint: ArgumentText?
  /// Whether the hint is a session of another device.
  var isElsewhere: Bool
  /// Of RECOVER of a user: `found` or `new` for the session of `new`, which was found or is to be
  /// made; nil for a search.
  let ofUser: ArgumentText?
  let ignored: ArgumentText?
  let fleet: ArgumentText?
  var reserved: ArgumentText?
  let token: Fence?
  let new: NewSession
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(hint)
    words.word(isElsewhere)
    words.word(ofUser)
    words.word(ignored)
    words.word(fleet)
    words.word(reserved)
    words.word(token)
    new.write(to: &words)
    words.word(req)
  }
}
