// Makes random requests for one device, sends each, and compares the reply with the model.

import Foundation
import struct TestSupport.Seeded

/// A device under test: its model, its connections and all that was asked of it so far.
struct SessionDriver {
  private(set) var model: ModelDevice
  private(set) var history: [String] = []
  /// Which answers each verb has had.
  private(set) var seen: Set<String> = []
  /// Requests with an id whose replies are kept, to be sent again.
  private var repeats: [ModelRequest] = []
  /// Where a page of LIST ended: the cursor, the session, the state that was asked for.
  private var page: (cursor: String, after: String, state: String?)?
  private let stranger: String

  /// `stranger` is a session of another device.
  init(_ device: String, stranger: String) {
    model = ModelDevice(name: device, elsewhere: stranger)
    self.stranger = stranger
  }

  private static let verbs: [String] = [
    ("OPEN", 8), ("GET", 8), ("SET", 18), ("TOUCH", 5), ("PAUSE", 5), ("RESUME", 5), ("CLOSE", 4),
    ("RECOVER", 8), ("ARCHIVE", 3), ("DELETE", 5), ("LIST", 4), ("CHAT", 8), ("SWITCH", 5),
    ("CHATS", 4), ("SAY", 14), ("HISTORY", 7), ("POP", 5), ("FORGET", 5), ("AMEND", 5), ("LOCK", 4),
    ("UNLOCK", 1), ("SEIZE", 2), ("LINK", 10), ("UNLINK", 2), ("REPORT", 2), ("PUT", 10),
    ("TAKE", 4), ("DROP", 3), ("KEYS", 4),
  ].flatMap { Array(repeating: $0.0, count: $0.1) }

  /// The verbs that its requests have.
  static var verbNames: Set<String> { Set(verbs) }

  /// Sends one random request; throws with the whole history if the reply is not the model's.
  mutating func step(on client: LineClient, _ name: String, _ random: inout Seeded) throws {
    let request = try self.request(&random)
    let line = request.line(model.name)
    let reply = try client.request(line, within: .seconds(20))
    history.append("\(name) > \(line)\n  < \(reply.raw)")
    let wanted = try model.answer(request, reply)
    guard Self.agrees(reply, wanted, request.verb) else {
      throw Failure(
        "the model wants: \(wanted)\nbut the replies were, in this order:\n"
          + history.joined(separator: "\n"))
    }
    seen.insert("\(request.verb) \(reply.word)" + (reply.code.isEmpty ? "" : " \(reply.code)"))
    if request.req != nil { repeats.append(request) }
    if request.verb == "LIST" { turn(request, reply) }
    try awaitClocks(on: client)
    guard model.candidates.count > 1 else { return }
    // By its text: fields may hold what Foundation's decoder rejects, such as a lone surrogate.
    let record = try client.request("GET \(model.name)/current").raw
    let current = record.firstMatch(of: /"session":"([^"]+)"/).map { String($0.1) } ?? record
    guard model.learnCurrent(current) else {
      throw Failure(
        "\(current) is current, but it may be \(model.candidates):\n"
          + history.joined(separator: "\n"))
    }
  }

  private mutating func turn(_ request: ModelRequest, _ reply: Reply) {
    page = nil
    guard let cursor = reply.cursor, let last = ShownRecord.all(in: reply).last else { return }
    page = (cursor, last.id, request.option("state"))
  }

  /// True if a reply is as in the model, moments of messages aside.
  private static func agrees(_ reply: Reply, _ wanted: String, _ verb: String) -> Bool {
    if ["LOCK", "UNLOCK", "SEIZE"].contains(verb), !wanted.contains(" ") {
      return reply.word == wanted
    }
    if ["ERR quota", "ERR conflict", "ERR bad_request"].contains(wanted) {
      return reply.raw.hasPrefix(wanted + " ")
    }
    guard reply.raw.contains("at\":") else { return reply.raw == wanted }
    let shown = reply.raw.replacing(/"updated_at":[0-9]{13}/) { _ in "\"updated_at\":U" }
    if reply.raw == wanted || shown == wanted { return true }
    return shown.replacing(/"age_ms":[0-9]+/) { _ in "\"age_ms\":N" }
      .replacing(/(?<name>"(?:at|last_at|created_at)":)[0-9]{13}/) { "\($0.name)T" } == wanted
  }

  /// Waits for the transitions of short clocks, so that the next request finds them done.
  private mutating func awaitClocks(on client: LineClient) throws {
    for at in model.sessions.indices {
      let session = model.sessions[at]
      guard let next = session.clocks.soon(after: session.state) else { continue }
      try eventually("\(session.device)/\(session.id) is \(next)", within: .seconds(10)) {
        try client.request("GET \(session.device)/\(session.id)").raw
          .contains("\"state\":\"\(next)\"")
      }
      model.move(at, to: next, reason: next == "paused" ? "\"idle\"" : "null")
      if next == "expired" {
        model.sessions[at].ended = session.born.map { $0 + session.clocks.life }
      }
      history.append("  (\(session.id) is \(next))")
      model.clocksHaveRun()
    }
  }

  /// Holds the log against the events of the model: each once, and in order.
  func checkEvents(on client: LineClient) throws {
    var logged: [String] = []
    var after = ""
    while true {
      let page = try client.request("EVENTS \(model.name) limit=100\(after)", within: .seconds(20))
      let events = page.raw.components(separatedBy: "{\"id\":\"").dropFirst()
      guard let last = events.last else { break }
      after = " after=\(last.prefix { $0 != "\"" })"
      for event in events where event.contains("\"type\":\"session.") {
        let type = event.components(separatedBy: "\"type\":\"")[1].prefix { $0 != "\"" }
        guard let start = event.range(of: "\"session\":") else { throw Failure("\(event)") }
        let body = event[start.lowerBound...].prefix { $0 != "}" }
        logged.append("\(type) \(body)}")
      }
    }
    guard logged == model.events else {
      let at = zip(logged, model.events).prefix { $0 == $1 }.count
      throw Failure(
        "event \(at) of \(logged.count), of the model's \(model.events.count):\n"
          + "\(logged.dropFirst(at).first ?? "none")\n"
          + "\(model.events.dropFirst(at).first ?? "none")\n" + history.joined(separator: "\n"))
    }
  }

  // MARK: Requests

  private mutating func request(_ random: inout Seeded) throws -> ModelRequest {
    if !repeats.isEmpty, chance(5, &random), var again = repeats.randomElement(using: &random) {
      // In any order of the options it is the same request; with another verb it is another one.
      again.options.shuffle(using: &random)
      if chance(25, &random) {
        let other = again.verb == "TOUCH" ? "DELETE" : "TOUCH"
        again = ModelRequest(verb: other, session: again.session, req: again.req)
      }
      return again
    }
    var request = ModelRequest(verb: Self.verbs.randomElement(using: &random) ?? "GET")
    try fill(&request, &random)
    let reads = ["GET", "CHATS", "HISTORY", "REPORT", "LIST", "LOCK", "UNLOCK", "TAKE", "KEYS"]
    guard !reads.contains(request.verb) else { return request }
    if chance(15, &random) { request.req = "r\(history.count)" }
    guard request.verb != "SEIZE" else { return request }
    let fenced = model.index(request.session).map { model.sessions[$0].isFenced } ?? false
    switch Int.random(in: 0..<12, using: &random) {
    case 0: request.token = model.oldTokens.randomElement(using: &random) ?? 7
    case 1, 2: request.token = model.token ?? 7
    default: if fenced, chance(80, &random) { request.token = model.token }
    }
    return request
  }

  private mutating func fill(_ request: inout ModelRequest, _ random: inout Seeded) throws {
    switch request.verb {
    case "LOCK", "UNLOCK", "SEIZE": request.word = ["a", "b"].randomElement(using: &random)
    case "OPEN": fillOpen(&request, &random)
    case "LIST": fillList(&request, &random)
    case "RECOVER" where chance(50, &random):
      fillOpen(&request, &random)
      if chance(50, &random) { request.options.removeAll { $0.name == "fenced" } }
      if chance(70, &random) {
        request.options.removeAll { $0.name == "user" || $0.name == "thread" }
      }
      if chance(20, &random), let session = model.sessions.randomElement(using: &random) {
        request.options.removeAll { $0.name == "thread" }
        request.options.append(("thread", session.thread))
      }
      if chance(50, &random) {
        let hint = model.sessions.randomElement(using: &random)?.id ?? stranger
        request.options.append(("hint", hint))
      }
    default:
      address(&request, &random)
      fillRest(&request, &random)
    }
  }

  private func fillOpen(_ request: inout ModelRequest, _ random: inout Seeded) {
    fillTexts(&request, &random)
    if chance(30, &random) {
      let taken = model.sessions.randomElement(using: &random).flatMap { $0.givenThread }
      let fresh = "\"t \(model.name) \(history.count)\""
      request.options.append(("thread", chance(40, &random) ? taken ?? fresh : fresh))
    }
    if chance(15, &random) { request.options.append(("fenced", "yes")) }
    if chance(25, &random) { request.options.append(("user", name("user", &random))) }
    fillPolicy(&request, &random)
    for clock in ["idle", "abandon", "archive", "life", "keep", "warn"] where chance(10, &random) {
      request.options.append((clock, clock != "keep" && chance(30, &random) ? "0" : "50h"))
    }
    if chance(12, &random) {
      let names = ["idle", "abandon", "life", "warn"]
      let short = names[Int.random(in: 0...2, using: &random)]
      request.options.removeAll { names.contains($0.name) }
      request.options += names.map { ($0, $0 == short ? "10ms" : "0") }
    }
  }

  private func fillPolicy(_ request: inout ModelRequest, _ random: inout Seeded) {
    guard chance(20, &random), let policy = ModelPolicy.all.randomElement(using: &random) else {
      return
    }
    request.options.append(("policy", policy.name))
  }

  private func fillList(_ request: inout ModelRequest, _ random: inout Seeded) {
    if page == nil, chance(30, &random) {
      request.options += [("order", "active"), ("count", "yes")]
      if chance(30, &random) { request.options.append(("state", "active")) }
      return
    }
    if chance(50, &random) {
      request.options.append(("limit", "\(Int.random(in: 1...3, using: &random))"))
    }
    if let page, chance(70, &random) {
      request.after = page.after
      request.options.append(("cursor", page.cursor))
      if let state = page.state { request.options.append(("state", state)) }
    } else if chance(30, &random) {
      let states = ["active", "paused", "abandoned", "archived", "completed", "failed", "expired"]
      request.options.append(("state", states.randomElement(using: &random) ?? "active"))
    }
  }

  /// Mostly the current session or a live one; now and then one that is over, or is none.
  private func address(_ request: inout ModelRequest, _ random: inout Seeded) {
    let hasChat = ["SAY", "HISTORY", "POP", "FORGET", "AMEND"].contains(request.verb)
    let mayHaveChat = ["GET", "SET", "DELETE"].contains(request.verb)
    let needsChat = ["SWITCH", "REPORT"].contains(request.verb)
    switch Int.random(in: 0..<20, using: &random) {
    case 0..<8: request.session = "current"
    case 8..<11 where request.verb != "RECOVER": request.session = nil
    case 11..<17:
      let live = model.sessions.filter { $0.isLive || $0.state == "abandoned" }
      request.session = live.randomElement(using: &random)?.id ?? "current"
    case 17..<19: request.session = model.sessions.randomElement(using: &random)?.id ?? stranger
    default: request.session = stranger
    }
    if needsChat || hasChat && chance(50, &random) || mayHaveChat && chance(40, &random) {
      let last = model.index(request.session).map { model.sessions[$0].lastChat } ?? 1
      request.chat =
        chance(30, &random) ? "current" : "\(Int.random(in: 1...(last + 1), using: &random))"
    }
  }

  private func fillRest(_ request: inout ModelRequest, _ random: inout Seeded) {
    switch request.verb {
    case "LINK", "UNLINK":
      let kind = ["tag", "mission", "user"].randomElement(using: &random) ?? "tag"
      request.word = "\(kind) \(name(kind, &random))"
    case "SET" where request.chat != nil:
      if chance(50, &random) { request.options.append(("name", chatName(&random))) }
      if chance(60, &random) {
        let key = ["\"k\"", "\"l\"", "\"m\""].randomElement(using: &random) ?? "\"k\""
        let json = ["null", "{\"x\":[ ]}", "1e400"].randomElement(using: &random) ?? "null"
        request.members = [(key, json)]
      }
    case "RECOVER":
      if chance(50, &random) { request.options.append(("archived", "yes")) }
    case "SET":
      fillTexts(&request, &random)
      if chance(15, &random) { request.options.append(("user", name("user", &random))) }
      fillPolicy(&request, &random)
      for clock in ["idle", "life", "warn"] where chance(6, &random) {
        request.options.append((clock, chance(30, &random) ? "0" : "50h"))
      }
      guard let at = model.index(request.session), chance(40, &random) else { return }
      let rev = model.sessions[at].rev
      let seen =
        chance(40, &random) ? rev : Int.random(in: max(0, rev - 9)...(rev + 1), using: &random)
      request.options.append(("rev", "\(seen)"))
    case "PAUSE":
      if chance(50, &random) { request.options.append(("reason", "\"out \\\"for\\\" lunch\"")) }
    case "CLOSE":
      request.word = [nil, "completed", "failed"].randomElement(using: &random) ?? nil
      if chance(30, &random) { request.options.append(("reason", "\"done\"")) }
    case "CHAT":
      if chance(50, &random) { request.options.append(("name", chatName(&random))) }
      if chance(50, &random), let one = ModelChat.configurations.randomElement(using: &random) {
        request.texts = [one.text]
      }
    case "SAY", "HISTORY", "POP", "FORGET", "AMEND": fillMessages(&request, &random)
    case "PUT", "TAKE", "DROP", "KEYS": fillDocuments(&request, &random)
    default: break
    }
  }

  /// Texts and members: few names, so that writers meet, and values that are easily spoilt.
  private func fillTexts(_ request: inout ModelRequest, _ random: inout Seeded) {
    for name in ["name", "phase", "step"] where chance(12, &random) {
      request.options.append((name, "\"\(name) \(history.count)\""))
    }
    guard chance(85, &random) else { return }
    let names = "abcdefghijklmnopq".map { "\"\($0)\"" } + ["\"\\u0061\"", "\"é ü\"", "\"\""]
    let values = [
      "[]", "{}", "1e400", "-0", "0.10", "\"\\ud800\"", "[1, 2 ,3]", "{\"b\":1,\"a\":[{},[]]}",
      "true", "\"\(history.count)\"", "123456789012345678901234567890", "null", "null", "null",
    ]
    if chance(6, &random) {
      request.members = names.prefix(17).map { ($0, "1") }
      return
    }
    request.members = (0..<Int.random(in: 1...5, using: &random)).map { _ in
      (names.randomElement(using: &random) ?? "", values.randomElement(using: &random) ?? "")
    }
  }

  /// One of a few, so that names meet.
  private func chatName(_ random: inout Seeded) -> String {
    ["\"chat é\"", "\"b\"", "\"c\""].randomElement(using: &random) ?? "\"b\""
  }

  /// One of the few things that sessions of this run are linked to.
  private func name(_ kind: String, _ random: inout Seeded) -> String {
    "\(kind)-\(stranger)-\(Int.random(in: 1...3, using: &random))"
  }

  func chance(_ percent: Int, _ random: inout Seeded) -> Bool {
    Int.random(in: 0..<100, using: &random) < percent
  }
}
