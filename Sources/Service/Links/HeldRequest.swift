// Owns: the life of a request that takes several calls of Redis: its caller's next request waits,
// all steps share one deadline, and it ends in one place. Must not know what the steps are. Runs on
// a loop's thread.

internal import Access
internal import Events
internal import Loop
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

/// A request whose caller's next one waits until this one is answered.
struct HeldRequest {
  let context: any RequestContext
  let store: Store
  private let caller: any RequestCaller
  /// As which it was begun; nil without authentication.
  ///
  /// Its end meanwhile hides no part of a reply.
  private let principal: Principal?
  private let ticket: Ticket
  private let onlyReads: Bool
  /// Whether it is held as a step, of which the first is in a batch with others', or it runs other
  /// lines in its place.
  private let isStep: Bool
  private let timeoutMs: Int64
  /// When its time is over, in monotonic ms.
  private(set) var untilMs: Int64

  /// Begins; the caller of this initializer has to `end` it once.
  ///
  /// With `device` its first step, about that, is in the turn's batch, and comes behind the
  /// requests before it by its place there. `waits`: it may wait for long, and its caller's going
  /// away is to be noticed meanwhile. `isAlone`: it may `run` lines in its own place.
  init(
    _ call: borrowing Call, batchedFor device: String? = nil, waits: Bool = false,
    isAlone: Bool = false
  ) throws(RequestError) {
    context = call.context
    store = call.store
    caller = call.caller
    principal = call.checksAccess ? call.caller.principal : nil
    ticket = call.ticket
    onlyReads = call.verb.rights == .read
    timeoutMs = call.shared.settings.requestTimeoutMs
    untilMs = call.ticket.arrivedNs / 1_000_000 + timeoutMs
    isStep = device != nil || isAlone
    try store.requireRedis(for: ticket.client)
    if let device {
      caller.beginStep(verb: ticket.verb, device)
    } else {
      switch (isAlone, waits) {
      case (true, _): caller.beginAlone()
      case (false, true): caller.holdForWait()
      case (false, false): caller.hold()
      }
      // The steps must see what the caller's earlier requests did.
      store.sendWaiting()
    }
  }

  /// Does the first step in the turn's batch of its script.
  func enqueue(_ query: ScriptQuery, _ next: @escaping (ScriptOutcome) -> Void) {
    store.enqueue(query, ticket, next)
  }

  /// The same request after a wait: its next step has the time of a request that comes now.
  func afterWait() -> HeldRequest {
    var request = self
    request.untilMs = context.nowMs + timeoutMs
    return request
  }

  /// Whether too little time is left to begin a further step: of one that is overdue nothing is
  /// known.
  var isOver: Bool { context.nowMs >= untilMs - timeoutMs / 4 }

  /// How long Redis may take for the next step.
  ///
  /// A request may outlive its deadline by 100 ms.
  var stepMs: Int64 { max(0, untilMs - context.nowMs) + 100 }

  /// Whether sessions of the device may be shown to its caller.
  func maySee(_ device: String) -> Bool {
    principal?.sees(Array(device.utf8)) ?? true
  }

  /// Refuses links that its caller may not make.
  func authorize(_ links: [LinkName]) throws(RequestError) {
    guard let principal else { return }
    for link in links { try principal.require(kind: link.kind, ref: link.ref) }
  }

  /// Reads a row for each key of the query.
  ///
  /// If that fails, or a row is an error, so has the request.
  func read(_ query: ScriptQuery, _ done: @escaping ([[UInt8]]) -> Void) {
    readAll(query) { rows in
      if let error = rows.lazy.compactMap({ error(in: $0, of: query.script) }).first {
        return end(.failed(error))
      }
      done(rows)
    }
  }

  /// The error that a row of a script carries; nil if it is none.
  func error(in row: [UInt8], of script: Script) -> RequestError? {
    row.withUnsafeBufferPointer { line in
      guard case .failed(let error) = store.outcome(of: script, line) else { return nil }
      return error
    }
  }

  /// Reads a row for each key of the query, each of which may be an error of its own.
  func readAll(_ query: ScriptQuery, _ done: @escaping ([[UInt8]]) -> Void) {
    store.gather(query, timeoutMs: stepMs) { [self] result in
      switch result {
      case .success(let rows): done(rows)
      case .failure(let error): end(.failed(error))
      }
    }
  }

  /// The same in several calls of so many keys at most; it fails where its time is over.
  func readAll(
    _ query: ScriptQuery, inParts most: Int, _ done: @escaping ([[UInt8]]) -> Void
  ) {
    readAll(query.parts(most)[...], []) { done($0) }
  }

  private func readAll(
    _ parts: ArraySlice<ScriptQuery>, _ rows: [[UInt8]], _ done: @escaping ([[UInt8]]) -> Void
  ) {
    guard let part = parts.first else { return done(rows) }
    guard rows.isEmpty || !isOver else {
      return end(
        .failed(RequestError(.unavailable, "the sessions took too long to read; retry")))
    }
    readAll(part) { readAll(parts.dropFirst(), rows + $0, done) }
  }

  /// Reads the sessions of a link that come after an entry, as many as fit a page.
  func readPage(
    of link: LinkName, after entry: SessionEntry?, most: Int,
    _ done: @escaping ([SessionEntry]) -> Void
  ) {
    let page = LinkPageCall(
      link: ArgumentText(link.text), from: entry.map { ArgumentText($0.text) },
      limit: Int64(most), isLive: false)
    read(ScriptQuery(page, at: link.partition)) { rows in
      done(SessionEntry.texts(in: rows[0]).compactMap { SessionEntry(text: $0) })
    }
  }

  /// Gives the request to what will answer it, and lets its caller go on.
  func pass(_ take: (Ticket) throws(RequestError) -> Void) {
    do throws(RequestError) { try take(ticket) } catch { context.answer(ticket, error) }
    caller.release()
  }

  /// Runs another line in place of the request's own, which is alone: its reply is the caller's,
  /// unless it `isTaken`, after which the request has to be ended.
  func run(_ line: [UInt8], isTaken: @escaping ReplyTaker) {
    assert(isStep)
    context.run(line, for: caller, ticket) { [caller] outcome, reply in
      if isTaken(outcome, reply) { return true }
      caller.endStep()
      return false
    }
  }

  /// Answers the caller, and lets it go on.
  func end(_ outcome: ScriptOutcome) {
    switch outcome {
    case .line(let line, _): context.answerText(ticket, line, onlyReads: onlyReads)
    case .failed(let error): context.answer(ticket, error)
    }
    if isStep { caller.endStep() } else { caller.release() }
  }

  /// The same, with a reply line that was made here.
  func end(_ line: [UInt8]) { line.withUnsafeBufferPointer { end(.line($0)) } }
}

/// A request for link_page.lua.
struct LinkPageCall: ScriptCall {
  static let script = Script.linkPage
  let link: ArgumentText
  let from: ArgumentText?
  let limit: Int64
  /// Whether they are a user's live sessions, in no order, and all of them.
  let isLive: Bool

  func write(to words: inout CommandBuffer) {
    words.word(link)
    words.word(from)
    words.word(limit)
    words.word(isLive)
  }
}
