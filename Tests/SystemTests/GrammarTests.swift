// Owns: the test that every option, optional word and payload of HELP can change a reply or the
// stored record. A part of HELP without a row fails it.

import Foundation
import Testing

/// A request with and without one part of a verb's grammar.
///
/// `D` is the device; `{S1}`, `{T}`, `{N}`, `{E}` and `{X}` are the first session, the token, the
/// turn, the first event's id and the export that the replies so far have shown.
struct GrammarRow: Sendable, CustomTestStringConvertible {
  enum Way: Sendable {
    case plain
    /// The probes are asked on a second connection while the request waits.
    case waits
    /// The probes are asked on a second connection, and one event is read.
    case watches
  }

  let verb: String
  /// An option's name, an optional word's, or `payload`.
  let part: String
  var setup: [String] = []
  /// Without the part.
  let request: String
  /// As it is written.
  let written: String
  var probes: [String] = []
  var way = Way.plain

  var testDescription: String { "\(verb) \(part)" }

  init(
    _ verb: String, _ part: String, setup: [String] = [], _ request: String, _ written: String,
    probes: [String] = [], way: Way = .plain
  ) {
    (self.verb, self.part, self.setup, self.request) = (verb, part, setup, request)
    (self.written, self.probes, self.way) = (written, probes, way)
  }

  /// With the part, which stands before a payload unless it is one.
  var whole: String {
    guard part != "payload", let brace = request.range(of: " {") else {
      return "\(request) \(written)"
    }
    return "\(request[..<brace.lowerBound]) \(written)\(request[brace.lowerBound...])"
  }
}

// MARK: The rows

extension GrammarRow {
  private static let open = ["OPEN D"]
  private static let said = ["OPEN D", "SAY D [{\"n\":1},{\"n\":2},{\"n\":3}]"]
  private static let locked = ["LOCK D a"]

  /// One request of each verb that takes a token or an id, after the requests that it needs.
  private static let changes: [(verb: String, setup: [String], request: String)] = [
    ("LOCK", [], "LOCK D a"), ("RENEW", locked, "RENEW D a token={T}"),
    ("UNLOCK", locked, "UNLOCK D a"), ("HANDOFF", locked, "HANDOFF D a b"),
    ("TURN", [], "TURN D"), ("DONE", turned, "DONE D turn={N}"),
    ("PART", turned, "PART D turn={N} {\"a\":1}"), ("SEIZE", [], "SEIZE D a"),
    ("CLEAR", locked, "CLEAR D"), ("OPEN", [], "OPEN D"),
    ("SET", open, "SET D {\"a\":1}"), ("TOUCH", open, "TOUCH D"), ("PAUSE", open, "PAUSE D"),
    ("RESUME", open + ["PAUSE D"], "RESUME D"), ("CLOSE", open, "CLOSE D"),
    ("RECOVER", open, "RECOVER D"), ("ARCHIVE", open, "ARCHIVE D"), ("DELETE", open, "DELETE D"),
    ("LINK", open, "LINK D tag t"), ("UNLINK", open, "UNLINK D tag t"), ("CHAT", open, "CHAT D"),
    ("SHARE", open, "SHARE D user=b"), ("UNSHARE", shared, "UNSHARE D user=b"),
    ("SWITCH", open, "SWITCH D/current/1"), ("SAY", open, "SAY D {\"a\":1}"),
    ("POP", said, "POP D"), ("FORGET", said, "FORGET D"),
    ("AMEND", said, "AMEND D seq=1 {\"a\":1}"),
    ("APPLY", open, "APPLY D {\"set\":{\"a\":1}}"), ("PUT", open, "PUT D k {\"a\":1}"),
    ("DROP", put, "DROP D k"),
    ("IMPORT", open + ["EXPORT D", "DELETE D"], "IMPORT {X}"),
  ]

  /// Further requests that an event may come of, and those of the verbs that are not above.
  private static let more: [(verb: String, setup: [String], request: String)] = [
    ("UNLOCK", locked + ["HANDOFF D a b return=1h"], "UNLOCK D b"),
    ("SEIZE", locked, "SEIZE D b"), ("COPY", open, "COPY D D.2"),
    ("RECOVER", [], "RECOVER D"), ("RECOVER", open + ["PAUSE D"], "RECOVER D"),
    ("OPEN", [], "OPEN D {\"a\":\"\(long)\",\"b\":\"\(long)\"}"),
    ("TELL", open, "TELL D t {\"a\":1}"), ("TICKET", open, "TICKET D"),
    ("PROFILE", [], "PROFILE user=D {\"a\":1}"), ("LOCKS", locked, "LOCKS"), ("HOOKS", [], "HOOKS"),
    ("HOOK", [], "HOOK D \(hookURL)"), ("UNHOOK", ["HOOK D \(hookURL)"], "UNHOOK D"),
  ]
  /// Two of them make a request that is read on a thread of its own.
  private static let long = String(repeating: "x", count: 140_000)

  /// At least one request of each verb that changes something.
  static let writing = changes + more

  private static let shared = ["OPEN D", "SHARE D user=b"]
  private static let sharing = [
    GrammarRow("SHARE", "user", setup: open, "SHARE D", "user=b"),
    GrammarRow("SHARE", "role", setup: open, "SHARE D user=b", "role=write", probes: ["GET D"]),
    GrammarRow("SHARE", "until", setup: open, "SHARE D user=b", "until=1h", probes: ["GET D"]),
    GrammarRow("UNSHARE", "user", setup: shared, "UNSHARE D", "user=b"),
    GrammarRow("UNSHARE", "tickets", setup: shared, "UNSHARE D", "tickets=all"),
    GrammarRow("TICKET", "role", setup: open, "TICKET D", "role=own"),
    GrammarRow("TICKET", "ttl", setup: open, "TICKET D", "ttl=0"),
  ]

  private static let put = ["OPEN D", "PUT D k {\"n\":1}", "PUT D m {\"n\":2}"]
  private static let turned = ["TURN D {\"n\":1}"]

  /// Verbs about locks take no turn, those about turns no other one.
  private static let withoutTurn: Set = [
    "LOCK", "RENEW", "UNLOCK", "HANDOFF", "SEIZE", "CLEAR", "TURN", "DONE", "PART",
  ]

  /// A turn that does not run is refused.
  private static let fences = changes.filter { !withoutTurn.contains($0.verb) }.map {
    GrammarRow($0.verb, "turn", setup: $0.setup, $0.request, "turn=7")
  }

  private static let turns =
    new.filter { !["payload", "fenced", "chat", "policy"].contains($0.part) }
    .map { GrammarRow("TURN", $0.part, "TURN D", $0.written, probes: ["GET D"]) }
    + [
      GrammarRow("TURN", "chat", "TURN D", "chat=n", probes: ["CHATS D"]),
      GrammarRow("TURN", "fenced", "TURN D agent=a", "fenced=yes", probes: ["GET D"]),
      GrammarRow("TURN", "agent", "TURN D", "agent=a"),
      GrammarRow("TURN", "policy", setup: turned, "TURN D", "policy=interrupt"),
      GrammarRow("TURN", "session-policy", "TURN D", "session-policy=p", probes: ["GET D"]),
      GrammarRow("TURN", "ttl", "TURN D", "ttl=5s"),
      GrammarRow(
        "TURN", "wait", setup: turned, "TURN D", "wait=10s",
        probes: ["SEIZE D a", "DONE D turn={N}"], way: .waits),
      GrammarRow("TURN", "settle", "TURN D {\"n\":1}", "settle=50ms"),
      GrammarRow("TURN", "last", setup: said, "TURN D", "last=1"),
      GrammarRow("TURN", "payload", "TURN D", "{\"n\":1}"),
      GrammarRow("DONE", "turn", setup: turned, "DONE D", "turn={N}"),
      GrammarRow("PART", "turn", setup: turned, "PART D {\"a\":1}", "turn={N}"),
      GrammarRow("DONE", "phase", setup: turned, "DONE D turn={N}", "phase=p"),
      GrammarRow("DONE", "step", setup: turned, "DONE D turn={N}", "step=p"),
      GrammarRow("DONE", "seen", setup: turned, "DONE D turn={N}", "seen=9"),
      GrammarRow("DONE", "last", setup: turned, "DONE D turn={N}", "last=yes"),
      GrammarRow("DONE", "payload", setup: turned, "DONE D turn={N}", "{\"say\":{\"n\":1}}"),
    ]

  /// A token that no lock has is refused; an id gives its reply, or a conflict, to what is next.
  private static let common: [GrammarRow] = changes.flatMap { verb, setup, request in
    let isRenewal = verb == "RENEW"
    return [
      GrammarRow(
        verb, "token", setup: setup, isRenewal ? "RENEW D a" : request,
        isRenewal ? "token={T}" : "token=7"),
      GrammarRow(
        verb, "req", setup: setup, request, "req=r", probes: ["SAY D req=r {\"other\":1}"]),
    ]
  }

  private static let new: [(part: String, written: String)] = [
    ("user", "user=D"), ("name", "name=n"), ("thread", "thread=D"), ("phase", "phase=p"),
    ("step", "step=s"), ("idle", "idle=1h"), ("abandon", "abandon=1h"), ("archive", "archive=1h"),
    ("life", "life=1h"), ("keep", "keep=1h"), ("warn", "warn=1s"), ("fenced", "fenced=yes"),
    ("chat", "chat=n"), ("policy", "policy=p"), ("expires_at", "expires_at=2000000000000"),
    ("link.KIND", "link.tag=D"),
    ("payload", "{\"a\":1}"),
  ]

  private static let locks = [
    GrammarRow("LOCK", "ttl", "LOCK D a", "ttl=5s"),
    GrammarRow("RENEW", "ttl", setup: locked, "RENEW D a token={T}", "ttl=5s"),
    GrammarRow("HANDOFF", "ttl", setup: locked, "HANDOFF D a b", "ttl=5s"),
    GrammarRow(
      "HANDOFF", "payload", setup: locked, "HANDOFF D a b", "{\"n\":1}",
      probes: ["EVENTS D"]),
    GrammarRow("SEIZE", "ttl", "SEIZE D a", "ttl=5s"),
    GrammarRow("LOCK", "fresh", setup: locked, "LOCK D a", "fresh=yes"),
    GrammarRow(
      "LOCK", "wait", setup: locked, "LOCK D b", "wait=10s", probes: ["CLEAR D"], way: .waits),
    GrammarRow(
      "HANDOFF", "return", setup: locked, "HANDOFF D a b", "return=5s",
      probes: ["UNLOCK D b", "LOCK D a"]),
  ]

  /// Where nothing listens.
  private static let hookURL = "url=http://127.0.0.1:9/"

  private static let sessions =
    new.map { GrammarRow("OPEN", $0.part, "OPEN D", $0.written, probes: ["CHATS D"]) }
    + new.map { GrammarRow("RECOVER", $0.part, "RECOVER D", $0.written, probes: ["CHATS D"]) }
    + ["idle", "abandon", "archive", "life", "keep", "warn"].map { clock in
      GrammarRow("SET", clock, setup: open, "SET D", "\(clock)=3h", probes: ["GET D"])
    }
    + [
      GrammarRow("RECOVER", "hint", setup: open + open, "RECOVER D", "hint={S1}"),
      GrammarRow(
        "RECOVER", "archived", setup: open + ["ARCHIVE D"], "RECOVER D/current", "archived=yes"),
      GrammarRow("RECOVER", "on", "RECOVER user=D", "on=D"),
      GrammarRow("SET", "user", setup: open, "SET D", "user=D", probes: ["GET D"]),
      GrammarRow("SET", "name", setup: open, "SET D", "name=n", probes: ["GET D"]),
      GrammarRow("SET", "phase", setup: open, "SET D", "phase=p", probes: ["GET D"]),
      GrammarRow("SET", "step", setup: open, "SET D", "step=s", probes: ["GET D"]),
      GrammarRow("SET", "payload", setup: open, "SET D", "{\"a\":1}", probes: ["GET D"]),
      GrammarRow("SET", "rev", setup: open, "SET D", "rev=9"),
      GrammarRow("SET", "policy", setup: open, "SET D", "policy=p", probes: ["GET D"]),
      GrammarRow(
        "SET", "expires_at", setup: open, "SET D", "expires_at=2000000000000", probes: ["GET D"]),
      GrammarRow("SET", "link.KIND", setup: open, "SET D", "link.tag=D", probes: ["GET D"]),
      GrammarRow("PAUSE", "reason", setup: open, "PAUSE D", "reason=x"),
      GrammarRow("CLOSE", "reason", setup: open, "CLOSE D", "reason=x"),
      GrammarRow("CLOSE", "completed|failed", setup: open, "CLOSE D", "failed"),
      GrammarRow("LIST", "state", setup: open, "LIST D", "state=paused"),
      GrammarRow("LIST", "limit", setup: open + open, "LIST D", "limit=1"),
      GrammarRow("LIST", "order", setup: open + open, "LIST D limit=1", "order=active"),
      GrammarRow("LIST", "since", setup: open, "LIST D", "since=9999999999999"),
      GrammarRow("LIST", "before", setup: open, "LIST D", "before=1"),
      GrammarRow("LIST", "fields", setup: ["OPEN D {\"a\":1}"], "LIST D", "fields=none"),
      GrammarRow("LIST", "count", setup: open, "LIST D", "count=yes"),
      GrammarRow("LIST", "and.KIND", setup: open, "LIST D", "and.tag=x"),
      GrammarRow("LIST", "cursor", setup: open + open, "LIST D", "cursor={S1}"),
      GrammarRow("CHAT", "name", setup: open, "CHAT D", "name=n"),
      GrammarRow("CHAT", "payload", setup: open, "CHAT D", "{\"a\":1}", probes: ["CHATS D"]),
      GrammarRow("HISTORY", "last", setup: said, "HISTORY D", "last=1"),
      GrammarRow("HISTORY", "after", setup: said, "HISTORY D", "after=2"),
      GrammarRow("HISTORY", "limit", setup: said, "HISTORY D", "limit=1"),
      GrammarRow("HISTORY", "before", setup: said, "HISTORY D", "before=2"),
      GrammarRow("HISTORY", "since", setup: said, "HISTORY D", "since=9007199254740991"),
      GrammarRow("HISTORY", "role", setup: said, "HISTORY D", "role=user"),
      GrammarRow("SAY", "seq", setup: said, "SAY D {\"n\":1}", "seq=2"),
      GrammarRow("SAY", "id", setup: said, "SAY D {\"n\":1}", "id=n"),
      GrammarRow("SAY", "after", setup: said, "SAY D {\"n\":1}", "after=1", probes: ["HISTORY D"]),
      GrammarRow("SAY", "last", setup: said, "SAY D after=1 {\"n\":1}", "last=2"),
      GrammarRow("POP", "count", setup: said, "POP D", "count=2"),
      GrammarRow("POP", "last", setup: said, "POP D", "last=2"),
      GrammarRow("FORGET", "after", setup: said, "FORGET D", "after=2"),
      GrammarRow("FORGET", "seq", setup: said, "FORGET D", "seq=2"),
      GrammarRow(
        "COPY", "req", setup: open, "COPY D D.2", "req=r", probes: ["SAY D.2 req=r {\"other\":1}"]),
      GrammarRow("COPY", "user", setup: open, "COPY D D.2", "user=D"),
      GrammarRow("IMPORT", "user", setup: open + ["EXPORT D"], "IMPORT as-new=yes {X}", "user=D"),
      GrammarRow("GET", "fields", setup: ["OPEN D {\"a\":1}"], "GET D", "fields=none"),
      GrammarRow("GET", "last", setup: said, "GET D", "last=1"),
      GrammarRow("LOCKS", "agent", setup: locked, "LOCKS limit=1000", "agent=D"),
      GrammarRow(
        "LOCKS", "limit", setup: locked + ["LOCK D.2 a"], "LOCKS agent=a", "limit=1"),
      GrammarRow("LOCKS", "cursor", setup: locked, "LOCKS agent=a", "cursor=0ff.~"),
      GrammarRow("HOOK", "url", "HOOK D", hookURL, probes: ["UNHOOK D"]),
      GrammarRow("HOOK", "secret", "HOOK D \(hookURL)", "secret=s", probes: ["HOOKS", "UNHOOK D"]),
      GrammarRow(
        "HOOK", "types", "HOOK D \(hookURL)", "types=lock.seized", probes: ["HOOKS", "UNHOOK D"]),
      GrammarRow(
        "HOOK", "devices", "HOOK D \(hookURL)", "devices=a*", probes: ["HOOKS", "UNHOOK D"]),
      GrammarRow("PROFILE", "payload", "PROFILE user=D", "{\"n\":1}", probes: ["PROFILE user=D"]),
      GrammarRow("PROFILE", "rev", "PROFILE user=D {\"n\":1}", "rev=9"),
      GrammarRow(
        "PROFILE", "req", "PROFILE user=D {\"n\":1}", "req=r",
        probes: ["PROFILE user=D req=r {\"n\":2}"]),
      GrammarRow("APPLY", "seq", setup: open, "APPLY D {\"set\":{\"a\":1}}", "seq=2"),
      GrammarRow("APPLY", "rev", setup: open, "APPLY D {\"set\":{\"a\":1}}", "rev=9"),
      GrammarRow(
        "CHAT", "max-messages", setup: open, "CHAT D", "max-messages=1",
        probes: ["SAY D [{},{}]"]),
      GrammarRow("CHAT", "full", setup: open, "CHAT D", "full=refuse", probes: ["EXPORT D"]),
      GrammarRow("PUT", "ttl", setup: open, "PUT D k {\"n\":1}", "ttl=1h", probes: ["EXPORT D"]),
      GrammarRow("PUT", "if", setup: put, "PUT D k {\"n\":1}", "if=absent"),
      GrammarRow("PUT", "rev", setup: put, "PUT D k {\"n\":1}", "rev=1"),
      GrammarRow("DROP", "key…", setup: put, "DROP D", "k"),
      GrammarRow("DROP", "prefix", setup: put, "DROP D", "prefix=k"),
      GrammarRow("KEYS", "prefix", setup: put, "KEYS D", "prefix=k"),
      GrammarRow("KEYS", "from", setup: put, "KEYS D", "from=l"),
      GrammarRow("KEYS", "to", setup: put, "KEYS D", "to=l"),
      GrammarRow("KEYS", "newest", setup: put, "KEYS D", "newest=yes"),
      GrammarRow("KEYS", "values", setup: put, "KEYS D", "values=yes"),
      GrammarRow("KEYS", "limit", setup: put, "KEYS D", "limit=1"),
      GrammarRow("KEYS", "cursor", setup: put, "KEYS D", "cursor=k"),
      GrammarRow("AMEND", "seq", setup: said, "AMEND D {\"n\":1}", "seq=1"),
      GrammarRow(
        "HISTORY", "wait", setup: said, "HISTORY D after=3", "wait=10s",
        probes: ["SAY D {\"n\":4}"], way: .waits),
      GrammarRow("GET", "rev", setup: open, "GET D", "rev=1"),
      GrammarRow(
        "GET", "wait", setup: open, "GET D rev=1", "wait=10s", probes: ["SET D {\"a\":1}"],
        way: .waits),
      GrammarRow("EXPORT", "sealed", setup: open, "EXPORT D", "sealed=yes"),
      GrammarRow("IMPORT", "as-new", setup: open + ["EXPORT D"], "IMPORT {X}", "as-new=yes"),
      GrammarRow("IMPORT", "replace", setup: open + ["EXPORT D"], "IMPORT {X}", "replace=yes"),
    ]

  private static let reports = [
    GrammarRow(
      "WATCH", "types", setup: open, "WATCH D", "types=session.resumed",
      probes: ["PAUSE D", "RESUME D"], way: .watches),
    GrammarRow(
      "WATCH", "changes", setup: open, "WATCH D", "changes=yes",
      probes: ["SAY D {\"n\":1}", "PAUSE D"], way: .watches),
    GrammarRow(
      "WATCH", "after", setup: open + ["PAUSE D", "EVENTS D"], "WATCH D", "after={E}",
      probes: ["RESUME D"], way: .watches),
    GrammarRow("EVENTS", "after", setup: open + ["EVENTS D"], "EVENTS D", "after={E}"),
    GrammarRow("EVENTS", "limit", setup: open + open, "EVENTS D", "limit=1"),
    GrammarRow("EVENTS", "group", setup: open, "EVENTS *", "group=D"),
    GrammarRow("EVENTS", "types", setup: open, "EVENTS * group=D", "types=lock.cleared"),
    GrammarRow("EVENTS", "wait", "EVENTS D", "wait=10s", probes: open, way: .waits),
    GrammarRow("REPORT", "address", setup: open, "REPORT", "D"),
    GrammarRow("REPORT", "user", "REPORT", "user=D"),
    GrammarRow("REPORT", "agent", "REPORT", "agent=D"),
    GrammarRow("HELP", "verb", "HELP", "PING"),
    GrammarRow("AUTH", "token", "AUTH jwt-", "x"),
  ]

  /// The sessions so far are no user's, so that a request for one does not reach them.
  private static let users =
    changes.filter { change in
      !["LOCK", "RENEW", "UNLOCK", "HANDOFF", "SEIZE", "CLEAR", "IMPORT", "TURN"]
        .contains(change.verb)
    }
    .map { GrammarRow($0.verb, "as", setup: $0.setup, $0.request, "as=D") }
    + [
      ("GET", "GET D"), ("HISTORY", "HISTORY D"), ("KEYS", "KEYS D"), ("TAKE", "TAKE D k"),
      ("CHATS", "CHATS D"), ("EXPORT", "EXPORT D"), ("TICKET", "TICKET D"), ("REPORT", "REPORT D"),
      ("LIST", "LIST D"),
      ("EVENTS", "EVENTS D"), ("TELL", "TELL D t {\"a\":1}"), ("COPY", "COPY D D"),
    ].map { GrammarRow($0.0, "as", setup: said, $0.1, "as=D") } + [
      GrammarRow("TURN", "as", setup: open, "TURN D", "as=D", probes: ["GET D"]),
      GrammarRow(
        "WATCH", "as", setup: open, "WATCH D", "as=D",
        probes: ["PAUSE D", "SEIZE D a", "SEIZE D b"], way: .watches),
    ]

  static let all = common + fences + users + sharing + locks + turns + sessions + reports

  /// The parts of a usage line that may be left out, and those that must be given by name.
  static func parts(of usage: String) -> Set<String> {
    let optional = usage.matches(of: /\[([^\]]+)\]/).map { String($0.1) }
    let required = usage.matches(of: /\s([a-z-]+)=(?:\s|$)/).map { String($0.1) }
    return Set(optional.map { $0.hasSuffix("=") ? String($0.dropLast()) : $0 } + required)
  }
}

// MARK: Asking

/// A run of one row on a device of its own.
struct GrammarRun {
  private let client: LineClient
  private let device = Lab.device()
  private var replies: [String] = []

  init(_ client: LineClient? = nil) throws { self.client = try client ?? Lab.current.connect() }

  /// The replies, without the parts that differ from device to device.
  static func transcript(_ row: GrammarRow, _ request: String, isWhole: Bool) throws -> [String] {
    var run = try GrammarRun()
    for line in row.setup { try run.ask(line, on: run.client) }
    let begin = run.replies.count
    try run.ask(row, request, isWhole: isWhole)
    return run.replies[begin...].map(run.plain)
  }

  private mutating func ask(_ line: String, on client: LineClient) throws {
    replies.append(try client.request(filled(line), within: .seconds(20)).raw)
  }

  /// What two measurements differ by, before and after a request.
  static func growth(
    _ setup: [String], _ request: String, by client: LineClient, _ measure: () throws -> Int
  ) throws -> Int {
    var run = try GrammarRun(client)
    for line in setup { try run.ask(line, on: client) }
    let before = try measure()
    try run.ask(request, on: client)
    return try measure() - before
  }

  /// The reply to a request that another client sends right behind these lines.
  static func reply(
    _ setup: [String], by client: LineClient, _ request: String, by other: LineClient,
    behind lines: [String]
  ) throws -> Reply {
    var run = try GrammarRun(client)
    for line in setup { try run.ask(line, on: client) }
    let filled = try (lines + [request]).map { try run.filled($0) + "\n" }
    try other.send(Array(filled.joined().utf8))
    guard let reply = try other.replies(filled.count).last else { throw Failure("no reply") }
    return reply
  }

  private mutating func ask(_ row: GrammarRow, _ request: String, isWhole: Bool) throws {
    guard row.way != .plain else {
      for line in [request] + row.probes { try ask(line, on: client) }
      return
    }
    let other = try Lab.current.connect()
    if row.way == .waits, isWhole {
      try client.sendLine(filled(request))
      for line in row.probes { _ = try other.request(filled(line)) }
      replies.append(try client.reply(within: .seconds(20)).raw)
      return
    }
    try ask(request, on: client)
    for line in row.probes { _ = try other.request(filled(line)) }
    if row.way == .watches { replies.append(try client.reply(within: .seconds(20)).raw) }
  }

  private func filled(_ line: String) throws -> String {
    func first(_ pattern: Regex<(Substring, Substring)>) -> String {
      replies.lazy.compactMap { $0.firstMatch(of: pattern) }.first.map { String($0.1) } ?? ""
    }
    let export = replies.first { $0.hasPrefix("OK {\"format\"") } ?? ""
    return line.replacing("{S1}", with: first(/"session":"([0-9A-Z]{26})"/))
      .replacing("{T}", with: first(/"token":([0-9]+)/))
      .replacing("{N}", with: first(/"turn":([0-9]+)/))
      .replacing("{E}", with: first(/"id":"([^"]+)"/))
      .replacing(/\bD\b/, with: device).replacing("{X}", with: String(export.dropFirst(3)))
  }

  private func plain(_ reply: String) -> String {
    reply.replacing(device, with: "D").replacing(/"id":"[^"]+"/, with: "\"id\":E")
      .replacing(/t~[-_~0-9A-Za-z]+/, with: "TICKET").replacing(/[0-9A-HJKMNP-TV-Z]{26}/, with: "S")
      .replacing(/[0-9]{10,}/, with: "N").replacing(
        /"state":"[a-z]+","lag".*?"created_at"/, with: "figures"
      )
      .replacing(/"(held_ms|age_ms|active)":[0-9]+/, with: "ms")
      .replacing(/BUSY \{"agent":null,"ttl_ms":[0-9]+/, with: "BUSY")
      .replacing(/HELD \{"agent":"a","ttl_ms":[0-9]+/, with: "HELD")
  }
}

extension SystemSuites {
  @Suite(.lab(workers: [["--policy", "p:idle=3h"]])) struct GrammarTests {
    @Test func `each part that HELP names has its row, and each row is about such a part`() throws {
      let client = try Lab.current.connect()
      guard case .array(let verbs)? = try client.request("HELP").json()["verbs"] else {
        throw Failure("HELP lists no verbs")
      }
      var named: Set<String> = []
      for verb in verbs.compactMap(\.string) {
        let usage = try client.request("HELP \(verb)").string("usage")
        named.formUnion(GrammarRow.parts(of: usage).map { "\(verb) \($0)" })
      }
      let rows = Set(GrammarRow.all.map(\.testDescription))
      #expect(named.count > 80)
      #expect(named.subtracting(rows) == [], "no row")
      let general = rows.subtracting(named).filter {
        !$0.hasSuffix(" token") && !$0.hasSuffix(" req")
      }
      #expect(general == [], "HELP does not name it")
    }

    @Test(arguments: GrammarRow.all)
    func `each part that is accepted has an effect`(row: GrammarRow) throws {
      let without = try GrammarRun.transcript(row, row.request, isWhole: false)
      // A difference without the part would hide that the part has no effect.
      let again = try GrammarRun.transcript(row, row.request, isWhole: false)
      if row.verb != "LOCKS", row.verb != "EVENTS" || !row.request.contains("*") {
        #expect(without == again)
      }
      let with = try GrammarRun.transcript(row, row.whole, isWhole: true)
      #expect(with != without, "\(row.whole): \(with)")
    }
  }
}
