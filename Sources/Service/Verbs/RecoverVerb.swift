// RECOVER: a paused, abandoned or archived session becomes active again.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

enum RecoverVerb {
  /// The options of the search, and those of a session to be made if there is none.
  private static let ofDevice: [OptionName] =
    [.hint, .user, .name, .thread, .phase, .step] + OptionName.clocks + [.fenced]

  static let verb = Verb(
    name: "RECOVER", rights: .write, words: [.session],
    options: [.archived] + ofDevice + [.token, .req],
    payload: .optionalObject,
    summary: "Makes a paused or abandoned session active; with a device alone, the best one.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    let isArchivedToo = call.text(.archived) == "yes"
    guard address.session == nil else {
      try refuseMore(call)
      let (partition, device, asked) = (call.partition, address.deviceText, address.sessionText)
      let last = [call.numberText(.token), call.requestKeyText]
      try LinkedChange(call, dueInMs: 0) { reservations in
        let session = reservations.session ?? asked
        let first = [device, session, isArchivedToo ? "yes" : "", reservations.text]
        return ScriptQuery(.recover, at: partition, first + last)
      }
      return
    }
    guard call.option(.archived) == nil else {
      throw RequestError(
        .badRequest, "archived= goes with RECOVER of a session, not of a device")
    }
    try recoverLatest(call, try NewSession(call, user: try call.userOfRecovered()))
  }

  /// Refuses options for a new session where one is named: they would have no effect on it.
  private static func refuseMore(_ call: borrowing Call) throws(RequestError) {
    if let option = ofDevice.first(where: { call.option($0) != nil }) {
      throw RequestError(
        .badRequest, "\(option.text)= goes with RECOVER of a device, not of a session")
    }
    guard call.payload == nil else {
      throw RequestError(
        .badRequest, "a payload goes with RECOVER of a device, not of a session")
    }
  }

  /// The options for a new session that an existing one ignores, as JSON; empty if there are none.
  private static func ignored(_ call: borrowing Call) -> String {
    let options: [OptionName] = [.name, .phase, .step] + OptionName.clocks + [.fenced]
    var names = options.filter { call.option($0) != nil }.map(\.text)
    if call.payload != nil { names.append("payload") }
    return names.isEmpty ? "" : "[\"\(names.joined(separator: "\",\""))\"]"
  }

  private static func recoverLatest(_ call: borrowing Call, _ new: NewSession) throws(RequestError)
  {
    let query = LatestQuery(
      device: call.text(0), partition: call.partition, hint: call.text(.hint),
      ignored: ignored(call), new: new, token: call.numberText(.token), req: call.requestKeyText)
    let mark = call.option(.hint).flatMap { SessionID.mark(of: $0) }
    let isOfOther = mark.map { $0 != SessionID.mark(ofDevice: call.device) } ?? false
    let mayAsk = call.mayNameAllUsers
    let request = try HeldRequest(call)
    guard let mark, isOfOther, mayAsk else {
      return recover(request, query, isElsewhere: false)
    }
    HintSearch.run(request, query.hint, in: Partition(mark: mark)) { isElsewhere in
      recover(request, query, isElsewhere: isElsewhere)
    }
  }

  private static func recover(
    _ request: HeldRequest, _ query: LatestQuery, isElsewhere: Bool
  ) {
    LinkedChange(request, query.device, dueInMs: 0, isSearch: true) { reservations in
      ScriptQuery(
        .recoverLatest, at: query.partition,
        query.words(isElsewhere: isElsewhere, reservations))
    }
  }
}

/// The arguments of the script for RECOVER of a device.
private struct LatestQuery {
  let device: String
  let partition: Partition
  let hint: String
  let ignored: String
  let new: NewSession
  let token: String
  let req: String

  func words(isElsewhere: Bool, _ reservations: Reservations) -> [String] {
    [device, hint, isElsewhere ? "elsewhere" : "", ignored] + new.words(reservations)
      + [token, req]
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
    _ request: HeldRequest, _ session: String, in partition: Partition, after: String = "",
    callsLeft: Int = callsMax, _ done: @escaping (_ isElsewhere: Bool) -> Void
  ) {
    guard callsLeft > 0, !request.isOver else { return done(true) }
    let query = ScriptQuery(.sessionPage, at: partition, [after, "\(rowsMax)"])
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
