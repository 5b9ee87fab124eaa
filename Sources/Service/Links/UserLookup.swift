// Owns: the way from a user that stands in place of an address to a session: the live one that was
// active last, on whatever device; then the request is one about that session. Between the two
// steps it may end: then there may be another one. Runs on a loop's thread.

internal import Metrics
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

/// One request with `user=` in place of its address.
final class UserLookup {
  /// The reply of a session that is gone or not live, or has nothing for the request.
  private enum Refusal {
    case none
    case failed(RequestError)
  }

  private let request: HeldRequest
  private let verb: Verb
  private let user: String
  /// The request's words, options and payload, without its address and `wait=`.
  private let rest: [UInt8]
  /// How long it may wait for what it reads, and from when on; nil for not at all.
  private let waitMs: Int64?
  private let beganMs: Int64
  private let req: ArgumentText?
  /// The idempotency key, without the parent of a trace.
  private let key: ArgumentText?
  private var triesLeft = UserLookup.triesMax
  /// The session that was addressed last.
  private var addressed: SessionEntry?
  /// The reply of that one, if it says that it is not live: the answer, if it is found again.
  private var refusal: Refusal?
  /// EVENTS is of the device of the session.
  private var takesDevice: Bool { verb.words.first?.kind == .deviceOrAll }

  /// More live sessions of a user than these are not looked at.
  private static let sessionsMax = 1_000
  /// The shortest wait that can be asked for.
  private static let waitMsMin: Int64 = 10
  /// So many sessions are addressed, if each has ended since it was found.
  private static let triesMax = 3
  /// So many are looked at in one call.
  static let lookedAtMax = 200

  /// Begins; the caller's next request waits.
  static func run(_ call: borrowing Call) throws(RequestError) {
    try UserLookup(call).find()
  }

  private init(_ call: borrowing Call) throws(RequestError) {
    user = call.text(.user)
    guard call.option(.asUser) == nil || call.text(.asUser) == user else {
      throw RequestError(.badRequest, "user= and as= name two users: leave one of them out")
    }
    rest = UserLookup.rest(call)
    waitMs = call.number(.wait)
    beganMs = call.context.nowMs
    req = call.req
    key = call.requestKey.map { .owned($0) }
    verb = call.verb
    request = try HeldRequest(call, isAlone: true)
  }

  private var link: LinkName { .user(user) }

  /// The request behind its address, which is of this user's sessions alone.
  private static func rest(_ call: borrowing Call) -> [UInt8] {
    var line: [UInt8] = []
    func put(_ name: String, _ value: some Collection<UInt8>) {
      line += Array(" \(name)=".utf8)
      line.appendJSONString(Array(value).span)
    }
    for index in call.arguments.words.indices {
      line.append(UInt8(ascii: " "))
      line += call.word(index)
    }
    let others: [OptionName] = [.user, .asUser, .wait]
    for option in call.verb.options where !others.contains(option) {
      if let value = call.option(option) { put(option.text, value) }
    }
    let links = call.links
    for kind in Set(links.map(\.kind)).sorted() {
      put("link.\(kind)", links.filter { $0.kind == kind }.map(\.ref).joined(separator: ",").utf8)
    }
    if let trace = call.arguments.trace { put("trace", trace) }
    put(OptionName.asUser.text, call.text(.user).utf8)
    if let payload = call.payload { line += [UInt8(ascii: " ")] + payload }
    return line
  }

  private func find() {
    let page = LinkPageCall(
      link: ArgumentText(link.text), from: nil, limit: Int64(UserLookup.sessionsMax),
      isLive: true)
    request.read(ScriptQuery(page, at: link.partition)) { [self] rows in
      let entries = SessionEntry.texts(in: rows[0]).compactMap { SessionEntry(text: $0) }
        .filter { request.maySee($0.device) }.prefix(UserLookup.sessionsMax)
      guard !entries.isEmpty else { return keep(nil) }
      compare(Array(entries))
    }
  }

  /// Reads which of them live, and which was active last.
  private func compare(_ entries: [SessionEntry]) {
    let (kind, ref) = (ArgumentText(link.kind), ArgumentText(link.ref))
    let query = ScriptQuery(
      entries.map { entry in
        let call = DigestCall(
          device: ArgumentText(entry.device), session: ArgumentText(entry.session), kind: kind,
          ref: ref)
        return (entry.partition, call)
      })
    request.readAll(query, inParts: UserLookup.lookedAtMax) { [self] rows in
      var best: (entry: SessionEntry, activeMs: Int64)?
      for (entry, row) in zip(entries, rows) {
        let words = String(decoding: row, as: UTF8.self).split(separator: " ")
        guard words.count == 5, words[0] == "OK", words[1] == "1", let at = Int64(words[4]) else {
          continue
        }
        let isBetter = best.map { (at, entry.session) > ($0.activeMs, $0.entry.session) } ?? true
        if isBetter { best = (entry, at) }
      }
      keep(best?.entry)
    }
  }

  /// With an idempotency key the session that its first request has found is the one.
  private func keep(_ entry: SessionEntry?) {
    guard let req else { return go(to: entry) }
    let choice = KeepChoiceCall(
      device: ArgumentText(link.text), entry: entry.map { ArgumentText($0.text) }, req: req)
    request.read(ScriptQuery(choice, at: link.partition)) { [self] rows in
      go(to: SessionEntry.texts(in: rows[0]).first.flatMap { SessionEntry(text: $0) })
    }
  }

  private func go(to entry: SessionEntry?) {
    guard let entry else { return request.end(Array("NONE".utf8)) }
    if let refusal, entry == addressed {
      // It has not ended: it is corrupt, or has nothing for this request.
      switch refusal {
      case .none: return request.end(Array("NONE".utf8))
      case .failed(let error): return request.end(.failed(error))
      }
    }
    guard triesLeft > 0, !request.isOver || addressed == nil else {
      let why = "the user's sessions ended as often as one was found; nothing was done, retry"
      return request.end(.failed(RequestError(.overloaded, why)))
    }
    triesLeft -= 1
    addressed = entry
    let address = takesDevice ? entry.device : "\(entry.device)/\(entry.session)"
    request.run(Array("\(verb.name) \(address)\(wait)".utf8) + rest) { [self] outcome, reply in
      guard !takesDevice, hasEnded(outcome, reply) else { return false }
      refusal = UserLookup.refusal(outcome, reply)
      again(entry)
      return true
    }
  }

  /// The option for what is left of the wait.
  private var wait: String {
    guard let waitMs else { return "" }
    let leftMs = waitMs - (request.context.nowMs - beganMs)
    return " wait=\(leftMs < UserLookup.waitMsMin ? 0 : leftMs)ms"
  }

  // MARK: Again

  /// Whether a reply says that its session is not live, so that nothing was done.
  ///
  /// What a wait was for may be the session's end.
  private func hasEnded(_ outcome: Outcome, _ reply: UnsafeBufferPointer<UInt8>) -> Bool {
    switch outcome {
    case .none, .illegalState: true
    case .ok: verb.name == GetVerb.verb.name && waitMs == nil && !UserLookup.isLive(reply)
    default: false
    }
  }

  /// The refusal of a reply; nil if it is a record.
  private static func refusal(
    _ outcome: Outcome, _ reply: UnsafeBufferPointer<UInt8>
  ) -> Refusal? {
    switch outcome {
    case .none: return Refusal.none
    case .illegalState:
      let text = String(decoding: reply, as: UTF8.self).prefix { !$0.isNewline }
      let words = text.split(separator: " ", maxSplits: 2)
      return .failed(RequestError(.illegalState, words.last.map(String.init) ?? ""))
    default: return nil
    }
  }

  /// Whether a record is of a live session; a reply without a state is.
  private static func isLive(_ reply: UnsafeBufferPointer<UInt8>) -> Bool {
    let end = reply.last == UInt8(ascii: "\n") ? reply.count - 1 : reply.count
    var members = JSONMembers("OK ".utf8.count, end)
    while let (key, value) = members.next(in: reply.span) {
      guard reply[key.range].elementsEqual("state".utf8) else { continue }
      let state = String(decoding: reply[value].dropFirst().dropLast(), as: UTF8.self)
      return SessionState(rawValue: state).map { [.active, .paused].contains($0) } ?? true
    }
    return true
  }

  /// Looks for another session; this one is no longer that of the request.
  private func again(_ ended: SessionEntry) {
    guard let key else { return find() }
    let call = ClaimSessionCall(
      link: ArgumentText(link.text), thread: nil, entry: nil, ended: ArgumentText(ended.text),
      key: key, lengthMs: 0)
    request.read(ScriptQuery(call, at: link.partition)) { [self] _ in find() }
  }
}

/// A request for keep_choice.lua.
struct KeepChoiceCall: ScriptCall {
  static let script = Script.keepChoice
  /// The link of the user, in place of a device.
  let device: ArgumentText
  let entry: ArgumentText?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(entry)
    words.word(req)
  }
}
