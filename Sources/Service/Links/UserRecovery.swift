// Owns: RECOVER of a user: the way to the session that was active last among those that can be
// recovered, on whatever device, or to a new one. Runs on a loop's thread.
//
// Without a session to recover, one is claimed in the user's partition before it is made: all that
// ask at once, at whatever worker, make the claimed one, and its own partition makes it once. A
// claim ends when its session is made, so each request searches once more behind its own claim or
// another's.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

/// One RECOVER with `user=` in place of its address.
final class UserRecovery {
  /// The session that is to be recovered, or made.
  private struct Choice {
    let entry: SessionEntry
    let isNew: Bool

    /// As it is kept for a retry.
    var text: ArgumentText { ArgumentText(entry.text + (isNew ? " new" : "")) }
  }

  private let request: HeldRequest
  private let user: String
  /// The device of a new session.
  private let device: String
  private let plan: SessionPlan
  /// JSON; nil for any.
  private let thread: ArgumentText?
  private let ignored: ArgumentText?
  private let fleet: ArgumentText?
  private let token: Fence?
  private let req: ArgumentText?
  /// The idempotency key, without the parent of a trace.
  private let key: ArgumentText?
  private let claimMs: Int64
  private var triesLeft = UserRecovery.triesMax
  /// The session that is to be made if the second search finds none either.
  private var claimed: SessionEntry?
  /// Whether it is this request's own.
  private var isOwnClaim = false

  /// So often a session is looked for that has not ended meanwhile.
  private static let triesMax = 3
  /// Of a user's sessions that are not live so many are looked at, the newest.
  private static let sessionsMax: Int64 = 1_000

  /// Begins; the caller's next request waits.
  static func run(_ call: borrowing Call) throws(RequestError) { try UserRecovery(call).begin() }

  private init(_ call: borrowing Call) throws(RequestError) {
    user = call.text(.user)
    device = call.text(.on)
    plan = try SessionPlan(call, user: try call.userOfSession(), Members(call))
    thread = call.quoted(.thread)
    ignored = NewSession.ignored(call, more: call.payload == nil ? [] : ["payload"])
    (fleet, token, req) = (call.fleet, call.fence, call.req)
    key = call.requestKey.map { .owned($0) }
    claimMs = call.shared.settings.requestTimeoutMs + 1_000
    request = try HeldRequest(call)
  }

  private var link: LinkName { .user(user) }

  /// A retry goes to the session of the first request.
  private func begin() {
    guard key != nil else { return search() }
    keep(nil) { [self] kept in
      if let kept { recover(kept) } else { search() }
    }
  }

  // MARK: The search

  private func search() {
    let pages = [true, false].map { isLive in
      let page = LinkPageCall(
        link: ArgumentText(link.text), from: nil, limit: UserRecovery.sessionsMax, isLive: isLive)
      return (link.partition, page)
    }
    request.read(ScriptQuery(pages)) { [self] rows in
      var known: Set<SessionEntry> = []
      let entries = rows.flatMap { row in
        SessionEntry.texts(in: row).compactMap { SessionEntry(text: $0) }
      }
      compare(entries.filter { request.maySee($0.device) && known.insert($0).inserted })
    }
  }

  /// Reads which of them can be recovered, and which was active last.
  private func compare(_ entries: [SessionEntry]) {
    guard !entries.isEmpty else { return claim() }
    let query = ScriptQuery(
      entries.map { entry in
        let call = RecoverableCall(
          device: ArgumentText(entry.device), session: ArgumentText(entry.session),
          user: ArgumentText(user), thread: thread)
        return (entry.partition, call)
      })
    request.readAll(query, inParts: UserLookup.lookedAtMax) { [self] rows in
      var best: (entry: SessionEntry, activeMs: Int64)?
      for (entry, row) in zip(entries, rows) {
        let words = String(decoding: row, as: UTF8.self).split(separator: " ")
        guard words.count == 2, words[0] == "OK", let at = Int64(words[1]) else { continue }
        let isBetter = best.map { (at, entry.session) > ($0.activeMs, $0.entry.session) } ?? true
        if isBetter { best = (entry, at) }
      }
      guard let best else { return claim() }
      choose(Choice(entry: best.entry, isNew: false))
    }
  }

  // MARK: A new session

  /// There is none to recover: one is to be made, by the first claim.
  private func claim() {
    if let claimed { return choose(Choice(entry: claimed, isNew: true)) }
    let mark = Array(device.utf8).withUnsafeBufferPointer { SessionID.mark(ofDevice: $0) }
    let own = SessionEntry(device: device, session: request.context.nextSessionID(mark: mark))
    request.read(query(claiming: own)) { [self] rows in
      let found = SessionEntry.texts(in: rows[0]).first.flatMap { SessionEntry(text: $0) } ?? own
      isOwnClaim = found == own
      // On a device that the caller does not see there is nothing for it.
      claimed = request.maySee(found.device) ? found : own
      search()
    }
  }

  private func query(
    claiming entry: SessionEntry?, ended: SessionEntry? = nil, key: ArgumentText? = nil
  ) -> ScriptQuery {
    let call = ClaimSessionCall(
      link: ArgumentText(link.text), thread: thread, entry: entry.map { ArgumentText($0.text) },
      ended: ended.map { ArgumentText($0.text) }, key: key, lengthMs: claimMs)
    return ScriptQuery(call, at: link.partition)
  }

  // MARK: The session

  /// With an idempotency key the session that its first request has chosen is the one.
  private func choose(_ choice: Choice) {
    guard key != nil else { return recover(choice) }
    keep(choice) { [self] kept in recover(kept ?? choice) }
  }

  private func keep(_ choice: Choice?, _ done: @escaping (Choice?) -> Void) {
    let call = KeepChoiceCall(device: ArgumentText(link.text), entry: choice?.text, req: req)
    request.read(ScriptQuery(call, at: link.partition)) { rows in
      let words = SessionEntry.texts(in: rows[0])
      let entry = words.first.flatMap { SessionEntry(text: $0) }
      done(entry.map { Choice(entry: $0, isNew: words.count > 1) })
    }
  }

  private func recover(_ choice: Choice) {
    let entry = choice.entry
    guard request.maySee(entry.device) else {
      return end(choice, .failed(RequestError(.forbidden, "this device is not yours")))
    }
    let call = RecoverLatestCall(
      device: ArgumentText(entry.device), hint: nil, isElsewhere: false,
      ofUser: choice.isNew ? "new" : "found", ignored: ignored, fleet: fleet, token: token,
      new: plan.session(entry.session, on: entry.device.utf8), req: req)
    LinkedChange(request, call, entry.device) { [self] outcome in
      if hasEnded(choice, outcome) { again(choice) } else { end(choice, outcome) }
    }
  }

  /// Whether another session is to be looked for: this one has ended since it was found, or the
  /// device on which another request would make it has no room.
  private func hasEnded(_ choice: Choice, _ outcome: ScriptOutcome) -> Bool {
    switch outcome {
    case .line(let line, _): line.starts(with: "ENDED".utf8)
    case .failed(let error):
      error.code == .quota && choice.isNew && choice.entry.device != device
    }
  }

  private func again(_ choice: Choice) {
    triesLeft -= 1
    guard triesLeft > 0, !request.isOver else {
      let why = "the user's sessions ended as often as one was found; nothing was done, retry"
      return end(choice, .failed(RequestError(.overloaded, why)))
    }
    request.read(query(claiming: nil, ended: choice.entry, key: key)) { [self] _ in
      if claimed == choice.entry { (claimed, isOwnClaim) = (nil, false) }
      search()
    }
  }

  /// Answers; a claim that is no longer needed is given up.
  private func end(_ choice: Choice, _ outcome: ScriptOutcome) {
    let (isDone, isUnknown) =
      switch outcome {
      case .line(let line, _): (line.starts(with: "OK".utf8), false)
      case .failed(let error): (false, error.code == .unknownOutcome)
      }
    request.end(outcome)
    guard let claimed, !isUnknown, isOwnClaim || isDone && choice.entry == claimed else { return }
    let query = query(claiming: nil, ended: claimed, key: nil)
    request.store.call(query, timeoutMs: request.store.requestTimeoutMs) { _ in }
  }
}

/// A request for claim_session.lua.
struct ClaimSessionCall: ScriptCall {
  static let script = Script.claimSession
  /// The link of the user.
  let link: ArgumentText
  let thread: ArgumentText?
  let entry: ArgumentText?
  let ended: ArgumentText?
  let key: ArgumentText?
  let lengthMs: Int64

  func write(to words: inout CommandBuffer) {
    words.word(link)
    words.word(thread)
    words.word(entry)
    words.word(ended)
    words.word(key)
    words.word(lengthMs)
  }
}

/// A request for recoverable.lua.
struct RecoverableCall: ScriptCall {
  static let script = Script.recoverable
  let device: ArgumentText
  let session: ArgumentText
  let user: ArgumentText
  let thread: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(user)
    words.word(thread)
  }
}
