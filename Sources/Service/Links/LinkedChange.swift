// Owns: a change that adds a link, step by step through two partitions. Runs on a loop's thread.
//
// The session's script says whether a reservation is needed; it is made in the link's partition,
// which has the user's quota; then the session changes, and in the same step writes an outbox entry
// for the link's partition. A worker that dies in between leaves a reservation without a session,
// which the reconciler removes, or a session whose outbox entry is still there.

internal import Scripts
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

/// One request that adds a link.
final class LinkedChange {
  private let request: HeldRequest
  private let link: LinkName
  /// The session's script; `isReserved` when a reservation was made.
  private let query: (_ isReserved: Bool, _ session: String?) -> ScriptQuery
  private let device: String
  private let dueInMs: Int64?
  private var hasCheckedLive = false

  /// Does the first step; the caller's next request waits until the last one is done.
  ///
  /// `dueInMs` as for `Call.run`.
  @discardableResult
  convenience init(
    _ call: borrowing Call, _ link: LinkName, dueInMs: Int64?,
    _ query: @escaping (_ isReserved: Bool, _ session: String?) -> ScriptQuery
  ) throws(RequestError) {
    let device = String(decoding: call.device, as: UTF8.self)
    self.init(try HeldRequest(call), device, link, dueInMs: dueInMs, query)
  }

  /// The same for a request that has begun already.
  @discardableResult
  init(
    _ request: HeldRequest, _ device: String, _ link: LinkName, dueInMs: Int64?,
    _ query: @escaping (_ isReserved: Bool, _ session: String?) -> ScriptQuery
  ) {
    self.request = request
    self.device = device
    self.link = link
    self.query = query
    self.dueInMs = dueInMs
    let first = query(false, nil)
    store.call(first) { self.asked($0, first.script) }
  }

  private var store: Store { request.store }

  private func asked(_ outcome: ScriptOutcome, _ script: Script) {
    guard case .line(let line) = outcome, line.starts(with: Array("MORE ".utf8)) else {
      finish(outcome)
      return
    }
    let text = String(decoding: line, as: UTF8.self)
    let words = text.split(separator: " ")
    guard words.count == 3 else { return finish(.failed(store.refusal(of: script, text))) }
    reserve(
      SessionEntry(device: device, session: String(words[1])), isLive: words[2] == "live")
  }

  /// Makes a reservation in the link's partition; a user's live sessions are counted.
  private func reserve(_ entry: SessionEntry, isLive: Bool) {
    guard !request.isOver else { return giveUp() }
    let isCounted = isLive && link.kind == "user"
    let most = isCounted ? request.context.shared.settings.userSessionsMax : 0
    let query = ScriptQuery(
      .linkReserve, at: link.partition,
      [link.text, entry.text, "\(most)", "\(LinkStatus.reservedMs)"])
    store.call(query, timeoutMs: request.stepMs) { [self] outcome in
      switch outcome {
      case .failed(let error): notReserved(error)
      case .line(let line) where line.starts(with: Array("FULL".utf8)):
        let live = SessionEntry.texts(in: line).compactMap { SessionEntry(text: $0) }
        full(entry, live, most: most)
      case .line: change(entry)
      }
    }
  }

  /// Whether a reservation was made or not, the session was not touched.
  private func notReserved(_ error: RequestError) {
    guard error.code == .unknownOutcome else { return finish(.failed(error)) }
    let reason = error.text.prefix { $0 != ";" }
    finish(.failed(RequestError(.unavailable, "\(reason); nothing was done")))
  }

  /// The quota is used up: reservations of sessions that are not live any more are freed, once.
  private func full(_ entry: SessionEntry, _ live: [SessionEntry], most: Int) {
    guard !hasCheckedLive else {
      finish(
        .failed(
          RequestError(.quota, "the user \(link.ref) may have \(most) live sessions")))
      return
    }
    // Not all of them may be live: it is not known that the quota is used up.
    guard !request.isOver else { return giveUp() }
    hasCheckedLive = true
    LinkCheck.run(store, live, of: link, timeoutMs: request.stepMs) { [self] in
      reserve(entry, isLive: true)
    }
  }

  private func change(_ entry: SessionEntry) {
    Failpoint.reserved.hit()
    guard !request.isOver else { return giveUp() }
    store.call(query(true, entry.session), timeoutMs: request.stepMs) { [self] outcome in
      Failpoint.linked.hit()
      // A reservation is confirmed at once, so that it is freed as soon as the session ends; that
      // of a session that was not made, or not linked, is freed; also if the reply is that of
      // another session, kept under the idempotency key or recovered instead.
      let isDone =
        if case .line(let line) = outcome { LinkedChange.uses(entry, line) } else { false }
      let isUnknown =
        if case .failed(let error) = outcome { error.code == .unknownOutcome } else { false }
      finish(outcome)
      guard !isUnknown else { return }
      LinkCheck.run(
        store, [entry], of: link, isOwn: !isDone, timeoutMs: store.requestTimeoutMs
      ) {}
    }
  }

  /// Whether a reply says that this session has the link now.
  private static func uses(_ entry: SessionEntry, _ line: UnsafeBufferPointer<UInt8>) -> Bool {
    guard line.starts(with: Array("OK".utf8)) else { return false }
    let record = Array("OK {\"session\":\"".utf8)
    return !line.starts(with: record)
      || line.dropFirst(record.count).starts(with: entry.session.utf8)
  }

  /// There is no time for the next step, and the session was not touched.
  private func giveUp() {
    finish(
      .failed(RequestError(.unavailable, "the request's time was over; nothing was done")))
  }

  private func finish(_ outcome: ScriptOutcome) {
    if let dueInMs { request.context.note(Partition(of: device), dueInMs: dueInMs) }
    request.end(outcome)
  }
}

/// Reads sessions' statuses, and updates their link's partition.
enum LinkCheck {
  /// `done` is called when that has been tried; a later check does what failed.
  ///
  /// `isOwn`: this request made the reservations, for sessions that will not come.
  static func run(
    _ store: Store, _ entries: [SessionEntry], of link: LinkName, isOwn: Bool = false,
    timeoutMs: Int64,
    _ done: @escaping () -> Void
  ) {
    guard !entries.isEmpty else { return done() }
    store.gather(.status(entries, of: link), timeoutMs: timeoutMs) { result in
      guard case .success(let rows) = result else { return done() }
      let settled: [(SessionEntry, LinkStatus)] = zip(entries, rows).compactMap { entry, row in
        let words = String(decoding: row, as: UTF8.self).split(separator: " ")
        guard var status = LinkStatus(words: words) else { return nil }
        if isOwn, status.word == "gone" { status.word = "freed" }
        return (entry, status)
      }
      guard !settled.isEmpty else { return done() }
      store.gather(.settle(settled, of: link), timeoutMs: timeoutMs) { _ in done() }
    }
  }
}
