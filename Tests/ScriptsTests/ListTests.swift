// Owns: the tests of scripts that go through a device's sessions: the bounds of one call.

import Scripts
import Testing
import TestSupport

struct ListTests {
  /// Its own, since its commands are counted.
  private let server: BareRedis
  private let bench: ScriptBench

  init() throws {
    server = try BareRedis()
    bench = try ScriptBench(on: server)
  }

  private func open(
    _ session: String, members: String = "", clocks: String = "0 0 0 60000 60000 0"
  ) throws {
    let request = Opening(session: session, clocks: clocks, members: members).open
    #expect(try bench.run(.open, request).word == "OK")
  }

  /// Makes sessions that are closed, one after another.
  private func openClosed(_ numbers: ClosedRange<Int>) throws {
    for number in numbers {
      try open("S\(number)")
      let move = ["d", "S\(number)", "CLOSE", "completed", "", "", ""]
      #expect(try bench.run(.changeState, move).word == "OK")
    }
  }

  private func page(_ reply: ScriptReply) throws -> (sessions: [String], cursor: String?) {
    guard let sessions = reply.body["sessions"] as? [[String: Any]] else {
      throw TestFailure("no list: \(reply.raw.prefix(200))")
    }
    return (sessions.compactMap { $0["session"] as? String }, reply.body["cursor"] as? String)
  }

  /// The page that one call reads; one that several read is the same.
  private func list(
    _ state: String = "", limit: Int = 50, after cursor: String = "", users: String = ""
  ) throws -> (sessions: [String], cursor: String?) {
    let (states, limited) = (state.isEmpty ? "-" : state, users.isEmpty ? "-" : users)
    let filter = state + users == "" ? "" : "\(states) - - - - created \(limited)"
    let whole = try page(bench.run(.listDevice, "d", filter, "", "\(limit)", cursor, ""))
    #expect(try steps(filter, limit: limit, after: cursor) == whole)
    return whole
  }

  /// The page that several calls read; `change` is done after the first of them.
  private func steps(
    _ filter: String = "", limit: Int, after cursor: String = "", change: () throws -> Void = {}
  ) throws -> (sessions: [String], cursor: String?) {
    var (found, from, soFar, left) = ([String](), cursor, "0 0 ", limit)
    for step in 0..<9 {
      let reply = try bench.run(.listDevice, "d", filter, "", "\(left)", from, soFar)
      guard reply.word == "MORE" else {
        let last = try page(reply)
        return (found + last.sessions, last.cursor)
      }
      let words = reply.raw.split(separator: " ", maxSplits: 4)
      let numbers = words[1...3].compactMap { Int($0) }
      let (end, records) = (words[4].dropFirst(numbers[1]), numbers[1] + numbers[2])
      (from, soFar) = (String(words[4].prefix(numbers[1])), String(end.prefix(numbers[2])))
      found += try page(ScriptReply("OK {\"sessions\":[\(words[4].dropFirst(records))]}")).sessions
      left -= numbers[0]
      if step == 0 { try change() }
    }
    throw TestFailure("the page has no end")
  }

  @Test func `a thousand sessions are looked at for a page, and the next one goes on`() throws {
    try open("S1000")
    try openClosed(1_001...1_999)
    #expect(try list("active") == (["S1000"], nil))
    try openClosed(2_000...2_000)
    let first = try list("active")
    #expect(first == ([], "S1001"))
    #expect(try list("active", after: "S1001") == (["S1000"], nil))
    // A full page ends at its last entry.
    #expect(try list(limit: 2) == (["S2000", "S1999"], "S1999"))
    for limit in [199, 200, 201, 999] {
      #expect(try list(limit: limit).cursor == "S\(2_001 - limit)")
    }
    #expect(try list("completed", limit: 1, after: "S1002") == (["S1001"], nil))
    #expect(try list(limit: 1_000).cursor == "S1001")
    // To a caller who may see none of them the cursor names none.
    let unseen = try list(users: "=u")
    #expect(unseen == ([], "S1001" + String(repeating: "0", count: 16)))
  }

  @Test func `sessions that come and go while a page is read are no reason to miss another`() throws
  {
    try openClosed(1_000...1_449)
    let page = try steps(limit: 1_000) {
      // Those at the end of the first call and at the beginning of the next one, and others.
      for number in [1_449, 1_250, 1_249, 1_100] {
        #expect(try bench.run(.delete, "d", "S\(number)", "", "").raw == "OK")
      }
      try open("S1450")
    }
    let left = (1_000..<1_450).reversed().filter { ![1_249, 1_100].contains($0) }
    #expect(page == (left.map { "S\($0)" }, nil))
  }

  @Test(arguments: [
    (["SET", "", "x"], "record"), (["HDEL", "", "clocks"], "idle_at"),
    (["HDEL", "", "state"], "state"), (["HSET", "", "active", "x"], "active_at"),
    (["SET", "/1", "x"], "messages"),
  ])
  func `a corrupt session is listed with its valid parts, and hides no other`(
    damage: [String], name: String
  ) throws {
    for number in 1...4 { try open("S\(number)", clocks: "1000 0 0 60000 60000 0") }
    for session in ["S2", "S4"] {
      let key = bench.base + ":session:d/\(session)"
      if damage[0] == "SET" { try bench.redis.command("DEL", key + damage[1]) }
      try bench.redis.command([damage[0], key + damage[1]] + damage[2...])
    }
    for limit in [50, 1] {
      var (shown, named): ([String], [String]) = ([], [])
      var cursor: String? = ""
      while let from = cursor {
        let reply = try bench.run(.listDevice, "d", "", "", "\(limit)", from, "")
        for session in reply.body["sessions"] as? [[String: Any]] ?? [] {
          shown.append(session["session"] as? String ?? "")
          if let names = session["damaged"] as? [String], names.contains(name) {
            named.append(shown.last ?? "")
          }
        }
        cursor = reply.body["cursor"] as? String
      }
      #expect(shown == ["S4", "S3", "S2", "S1"] && named == ["S4", "S2"], "limit=\(limit)")
    }
    for reply in [try bench.run(.get, "d", "S2"), try bench.run(.entry, "d", "S2", "", "", "", "")]
    {
      #expect((reply.body["damaged"] as? [String])?.contains(name) == true, "\(reply)")
    }
    #expect(try bench.run(.delete, "d", "S2", "", "").raw == "OK")
    #expect(try bench.run(.get, "d", "S2").word == "NONE")
    let live = try bench.redis.command("HGET", bench.base + ":devices", "d").string ?? ""
    #expect(live.hasPrefix("3 ") || name == "record" || name == "state", "\(live)")
  }

  @Test func `a page ends when it has grown large`() throws {
    // Two of them come just below 1 MiB.
    for number in 1...4 { try open("S\(number)", members: fields(2)) }
    #expect(try list() == (["S4", "S3", "S2"], "S2"))
    #expect(try list(after: "S2") == (["S1"], nil))
    #expect(try entries(1...4) == ["OK", "OK", "OK", "LATER"])
  }

  /// The members of so many fields of 260,000 bytes.
  private func fields(_ count: Int) -> String {
    let value = String(repeating: "x", count: 260_000)
    return (0..<count).map { number in
      let name = "f:\"m\(number)\""
      return "\(name.utf8.count) \(name)\(value.utf8.count + 2) \"\(value)\""
    }.joined()
  }

  /// The words that `entry` has for sessions of one call.
  private func entries(_ numbers: ClosedRange<Int>) throws -> [String] {
    let keys = Array(repeating: bench.base, count: numbers.count)
    let requests = numbers.flatMap { ["d", "S\($0)", "", "", "", ""] }
    return try bench.call(.entry, keys: keys, requests).items.map {
      String($0.string?.prefix { $0 != " " } ?? "")
    }
  }

  @Test func `a large session is a page of its own, unless few fields are asked for`() throws {
    for number in 1...3 { try open("S\(number)", members: number == 2 ? fields(8) : "") }
    #expect(try list() == (["S3"], "S3"))
    #expect(
      try bench.run(.listDevice, "d", "", "", "50", "S3", "").raw == "LARGE d S2 0 list")
    #expect(try list(after: "S2") == (["S1"], nil))
    #expect(try entries(1...3) == ["OK", "LARGE", "OK"])
    for (asked, count) in [("none", 0), ("4 \"m0\"4 \"m1\"", 2)] {
      let reply = try bench.run(.listDevice, "d", "", asked, "50", "", "")
      let sessions = reply.body["sessions"] as? [[String: Any]] ?? []
      #expect(sessions.count == 3)
      #expect((sessions.dropFirst().first?["fields"] as? [String: Any])?.count == count)
    }
  }

  private func recover(_ hint: String = "") throws -> ScriptReply {
    try bench.run(.recoverLatest, Opening(session: "T", thread: "\"T\"").recover(hint: hint))
  }

  @Test func `of a thousand sessions that were closed since, the one before is found`() throws {
    try open("S1000")
    #expect(try bench.run(.changeState, "d", "S1000", "PAUSE", "paused", "", "", "").word == "OK")
    try openClosed(1_001...1_999)
    let found = try recover()
    #expect(try found.string("how") == "latest" && found.string("session") == "S1000")
    try openClosed(2_000...2_000)
    let hinted = try recover("S1000")
    #expect(try hinted.string("how") == "hint" && hinted.string("session") == "S1000")
    let made = try recover()
    #expect(try made.string("how") == "new" && made.string("session") == "T")
  }

  @Test func `a quota that is full costs no more where many sessions are kept`() throws {
    try openClosed(1_000...1_299)
    for number in 0..<48 { try open("L\(100 + number)") }
    let hasty = "0 30 0 0 60000 0"
    for session in ["M1", "M2"] { try open(session, clocks: hasty) }
    func more(_ session: String) throws -> ScriptReply {
      try bench.run(.open, Opening(session: session).open)
    }
    let dueAt = try ["M1", "M2"].compactMap {
      try bench.redis.command("ZSCORE", bench.base + ":due", "a:d/\($0)").int
    }
    try bench.wait(until: try #require(dueAt.max()))
    // Two of them are over, though their ends are not noticed yet.
    for session in ["N1", "N2"] { #expect(try more(session).word == "OK") }
    try bench.redis.command("CONFIG", "RESETSTAT")
    #expect(try more("N3").word == "ERR")
    let stats = try bench.redis.command("INFO", "commandstats").string ?? ""
    // The live sessions are counted anew before one is refused, and no others are read.
    let reads = stats.firstMatch(of: /cmdstat_hmget:calls=(\d+)/).flatMap { Int($0.1) } ?? 0
    #expect(reads <= 51, "\(stats)")
    #expect(try bench.events().filter { $0.kind == "session.abandoned" }.count == 2)
  }
}
