// Owns: the tests of the scripts that lists are made of: what bounds one call.

import Scripts
import Testing
import TestSupport

struct ListTests {
  private let bench: ScriptBench

  init() throws { bench = try ScriptBench() }

  private func open(_ session: String, members: String = "") throws {
    let clocks = "0 0 0 60000 60000 0"
    let request = ["d", session, "\"t\"", clocks, "no", members, "", "", "", ""]
    #expect(try bench.run(.open, request).word == "OK")
  }

  /// Makes sessions that are closed, one after another.
  private func openClosed(_ numbers: ClosedRange<Int>) throws {
    for number in numbers {
      try open("S\(number)")
      let move = ["d", "S\(number)", "CLOSE", "completed", "", "", ""]
      #expect(try bench.run(.move, move).word == "OK")
    }
  }

  private func list(
    _ state: String = "", limit: Int = 50, after cursor: String = ""
  ) throws -> (sessions: [String], cursor: String?) {
    let reply = try bench.run(.listDevice, "d", state, "\(limit)", cursor)
    guard let sessions = reply.body["sessions"] as? [[String: Any]] else {
      throw Failure("no list: \(reply.raw.prefix(200))")
    }
    return (sessions.compactMap { $0["session"] as? String }, reply.body["cursor"] as? String)
  }

  @Test func `a thousand sessions are looked at in one call, and the next page goes on`() throws {
    try open("S1000")
    try openClosed(1_001...1_999)
    #expect(try list("active") == (["S1000"], nil))
    try openClosed(2_000...2_000)
    let first = try list("active")
    #expect(first == ([], "S1001"))
    #expect(try list("active", after: "S1001") == (["S1000"], nil))
    // A page that is full ends at what it shows.
    #expect(try list(limit: 2) == (["S2000", "S1999"], "S1999"))
    #expect(try list("completed", limit: 1, after: "S1002") == (["S1001"], nil))
    #expect(try list(limit: 1_000).cursor == "S1001")
  }

  @Test func `a page ends when it has grown large`() throws {
    // Two of them come just below 4 MiB.
    let value = String(repeating: "x", count: 260_000)
    let members = (0..<8).map { number in
      let name = "f:\"m\(number)\""
      return "\(name.utf8.count) \(name)\(value.utf8.count + 2) \"\(value)\""
    }.joined()
    for number in 1...7 { try open("S\(number)", members: members) }
    #expect(try list() == (["S7", "S6", "S5"], "S5"))
    #expect(try list(after: "S5") == (["S4", "S3", "S2"], "S2"))
    #expect(try list(after: "S2") == (["S1"], nil))
    let keys = Array(repeating: bench.base, count: 7)
    let entries = (1...7).flatMap { ["d", "S\($0)", "", "", ""] }
    let words = try bench.call(.entry, keys: keys, entries).items.map {
      $0.string?.prefix { $0 != " " } ?? ""
    }
    #expect(words == ["OK", "OK", "OK", "LATER", "LATER", "LATER", "LATER"])
  }
}
