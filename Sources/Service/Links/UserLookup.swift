// Owns: the way from a user that stands in place of an address to a session: the live one that was
// active last, on whatever device; then the request is one about that session. Runs on a loop's
// thread.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

/// One request with `user=` in place of its address.
final class UserLookup {
  private let request: HeldRequest
  private let verb: Verb
  private let user: String
  /// The request's words, options and payload, without its address.
  private let rest: [UInt8]
  private let req: ArgumentText?
  /// EVENTS is of the device of the session.
  private var takesDevice: Bool { verb.words.first?.kind == .deviceOrAll }

  /// More live sessions of a user than these are not looked at.
  private static let sessionsMax = 1_000

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
    req = call.req
    verb = call.verb
    request = try HeldRequest(call)
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
    for option in call.verb.options where option != .user && option != .asUser {
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
    request.readAll(query) { [self] rows in
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
    let address = takesDevice ? entry.device : "\(entry.device)/\(entry.session)"
    request.run(Array("\(verb.name) \(address)".utf8) + rest)
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
